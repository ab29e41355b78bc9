// Drives every view of the page in a real browser against a broker that runs, and takes pictures of them.
//
//   apt-get install chromium; npm install playwright-core axe-core    (in a directory of their own)
//   NODE_PATH=DIR/node_modules node tests/page/drive.js http://127.0.0.1:15672 PICTURES
//
// Exits with 1 if anything in the names or messages ran as a script, if the browser had something to complain of, or if a view has an
// accessibility violation. Fill the broker first (tests/page/fill.py PORT).
const fs = require("fs");
const {chromium} = require("playwright-core");

const HOSTILE = '<img src=x onerror="window.hacked=1">';
const VIEWS = ["overview", "queues", "dead", "exchanges", "exchange?vhost=/&name=notify", "connections", "access", "policies",
  ...["overview", "messages", "unacked", "consumers", "routing", "settings"].map((tab) => "queue?vhost=/&name=orders.process&tab=" + tab),
  "queue?" + new URLSearchParams({vhost: "/", name: HOSTILE, tab: "messages"})];

async function drive(base, pictures) {
  const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
  const browser = await chromium.launch({executablePath: "/usr/bin/chromium", args: ["--no-sandbox"]});
  const problems = [];
  for (const theme of ["light", "dark"]) {
    const page = await browser.newPage({viewport: {width: 1280, height: 900}, colorScheme: theme});
    page.on("console", (m) => m.type() === "error" && !m.text().includes("401") && problems.push(m.text()));
    page.on("pageerror", (e) => problems.push("pageerror " + e));
    await page.goto(base + "/");
    await page.fill("input[name=user]", "guest");
    await page.fill("input[name=password]", "guest");
    await page.click("button.main");
    await page.waitForSelector(".rail");
    for (const [i, view] of VIEWS.entries()) {
      await page.goto(base + "/#" + view);
      await page.waitForTimeout(1500);
      await page.screenshot({path: pictures + "/" + theme + "-" + String(i).padStart(2, "0") + ".png"});
      await page.evaluate(axe);
      const found = await page.evaluate(() => axe.run());
      for (const v of found.violations) problems.push(theme + " " + view + ": " + v.id + " " + v.nodes[0].html.slice(0, 150));
    }
    const hacked = await page.evaluate(() => window.hacked);
    if (hacked !== undefined) problems.push("a name or a message ran as a script: " + hacked);
    await page.close();
  }
  await browser.close();
  return problems;
}

drive(process.argv[2], process.argv[3]).then((problems) => {
  console.log(problems.join("\n"));
  console.log(problems.length + " problems");
  process.exit(problems.length > 0 ? 1 : 0);
});
