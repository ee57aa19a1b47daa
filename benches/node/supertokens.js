// The authorizer that SuperTokens' documentation describes for AWS Lambda, for an HTTP API's event, and its refresh.

import SuperTokens from "supertokens-node";
import { middleware } from "supertokens-node/framework/awsLambda/index.js";
import Session from "supertokens-node/recipe/session/index.js";

const domain = new URL(process.env.ISSUER).origin;
SuperTokens.init({
  framework: "awsLambda",
  supertokens: { connectionURI: process.env.CORE },
  appInfo: { appName: "bench", apiDomain: domain, websiteDomain: domain },
  recipeList: [Session.init()],
});

const refresh = middleware();

const policy = (principalId, Resource, context) => ({
  principalId,
  policyDocument: { Version: "2012-10-17", Statement: [{ Action: "execute-api:Invoke", Effect: "Allow", Resource }] },
  context,
});

async function authorize(event) {
  const session = await Session.getSession(event, event, { sessionRequired: false });
  const setCookie = event.supertokens.response.cookies.join(", ");
  return policy(session?.getUserId() ?? "", event.routeArn, { setCookie });
}

export const handler = async (event) => (event.type === "REQUEST" ? authorize(event) : refresh(event));
