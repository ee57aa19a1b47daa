// An Express application with supertokens-node, set up as its documentation says.

import { once } from "node:events";
import express from "express";
import SuperTokens from "supertokens-node";
import { errorHandler, middleware } from "supertokens-node/framework/express/index.js";
import JWT from "supertokens-node/recipe/jwt/index.js";
import Session from "supertokens-node/recipe/session/index.js";
import { PrimitiveClaim } from "supertokens-node/recipe/session/claims.js";
import { verifySession } from "supertokens-node/recipe/session/framework/express/index.js";
import { API_KEY } from "./harness.js";

export const plan = new PrimitiveClaim({ key: "plan", fetchValue: (userId) => (userId === "ada" ? "gold" : "free") });

/** Starts it; `session` is its session recipe. */
export async function startApp(connectionURI, { port = 0, session = Session.init() } = {}) {
  const app = express();
  const server = app.listen(port, "127.0.0.1");
  await once(server, "listening");
  const origin = `http://127.0.0.1:${server.address().port}`;
  SuperTokens.init({
    framework: "express",
    supertokens: { connectionURI, apiKey: API_KEY },
    appInfo: { appName: "test", apiDomain: origin, websiteDomain: origin },
    recipeList: [session, JWT.init()],
  });
  app.use(middleware());
  app.use(express.json());
  app.post("/signin", async (request, response) => {
    const user = new SuperTokens.RecipeUserId(request.body.userId);
    const session = await Session.createNewSession(request, response, "public", user, { role: "member" }, { cart: [1] });
    response.json({ handle: session.getHandle() });
  });
  app.get("/me", verifySession(), ({ session }, response) => {
    const [userId, handle, payload] = [session.getUserId(), session.getHandle(), session.getAccessTokenPayload()];
    response.json({ userId, handle, payload });
  });
  app.get("/strict", verifySession({ checkDatabase: true }), (_, response) => response.json({}));
  const isGold = (given) => [...given, plan.validators.hasValue("gold")];
  app.get("/gold", verifySession({ overrideGlobalClaimValidators: isGold }), (_, response) => response.json({}));
  app.post("/claims", verifySession(), async (request, response) => {
    await request.session.mergeIntoAccessTokenPayload(request.body);
    response.json({});
  });
  const more = express.Router();
  app.use(more);
  app.use(errorHandler());
  // Express prints the errors that it is left with.
  app.use((error, _request, response, _next) => response.status(500).json({ message: String(error) }));
  return {
    origin,
    more,
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}
