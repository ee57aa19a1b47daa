// Writes PNGs of the demo page to shots/: desktop and phone, light and dark, state by state.

import { mkdir } from "node:fs/promises";
import { launchBrowser } from "./harness.js";
import { startStack } from "./stack.js";

const FOLDER = new URL("shots/", import.meta.url).pathname;
const SCREENS = { desktop: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };

await mkdir(FOLDER, { recursive: true });
const stack = await startStack({ settings: ["DEVICE_BINDING=require"] });
const browser = await launchBrowser();
try {
  for (const [name, viewport] of Object.entries(SCREENS)) {
    for (const colorScheme of ["light", "dark"]) {
      const context = await browser.newContext({ viewport, colorScheme, deviceScaleFactor: 2 });
      const page = await context.newPage();
      const shoot = async (state) => {
        await page.evaluate(() => scrollTo(0, 0));
        await page.screenshot({ path: `${FOLDER}${name}-${colorScheme}-${state}.png`, fullPage: true });
      };

      await page.goto(stack.origin);
      await page.locator("#sign-in").waitFor();
      await shoot("1-signed-out");

      await page.locator("#sign-in").click();
      await page.locator("#session").waitFor();
      await page.locator("#call-me").click();
      await page.locator("#answer").waitFor();
      await shoot("2-signed-in");

      await page.locator("#sign-in-elsewhere").click();
      await page.locator("#devices li").nth(1).waitFor();
      await page.locator("#reports").click();
      await page.locator("#refused-role").waitFor();
      await shoot("3-refused");

      await page.locator("#steal").click();
      await page.locator('#thief-holds[data-standing="newest"]').waitFor();
      await page.locator("#device-refresh").click();
      await page.locator('#thief-holds[data-standing="late"]').waitFor();
      await shoot("4-stolen");

      await page.locator("#use-copy").click();
      await page.locator('#device-holds[data-standing="given-up"]').waitFor();
      await page.locator("#device-refresh").click();
      await page.locator("#notice").waitFor();
      await shoot("5-theft-detected");

      for (const [state, query] of [["6-loot-without-a-key", "method=header"], ["7-loot-with-a-key", "method=header&bound"]]) {
        await page.goto(`${stack.origin}/?${query}`);
        await page.locator("#sign-in").click();
        await page.locator("#session").waitFor();
        await page.locator("#steal-everything").click();
        await page.locator("#loot").waitFor();
        await shoot(state);
        await page.locator("#sign-out").click();
        await page.locator("#signin-form").waitFor();
      }
      await context.close();
    }
  }
} finally {
  await browser.close();
  await stack.stop();
}
