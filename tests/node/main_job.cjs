// The main job, by the official Node SDK: report events, complete an achievement, read what came of it. Prints it as JSON.
const { TrophyApiClient } = require("@trophyso/node");

const [url, apiKey, noraKey] = process.argv.slice(2);
const environment = { api: `${url}/v1`, admin: `${url}/admin-api/v1` };
const client = new TrophyApiClient({ apiKey, environment });
const nora = new TrophyApiClient({ apiKey: noraKey, environment });

const statusOf = (error) => error.statusCode;
const bodyOf = (error) => error.body;

async function main() {
  const event = { user: { id: "nora", tz: "Europe/London", attributes: { plan: "pro" } }, value: 2.5 };
  return {
    identified: await client.users.identify("nora", { name: "Nora" }),
    event: await client.metrics.event("lessons", { ...event, idempotencyKey: "order-1" }),
    replayed: await client.metrics.event("lessons", { ...event, idempotencyKey: "order-1" }),
    completion: await client.achievements.complete("toured", { user: { id: "nora" } }),
    user: await client.users.get("nora"),
    metric: await client.users.singleMetric("nora", "lessons"),
    points: await client.users.points("nora", "xp", { awards: 5 }),
    achievements: await client.users.achievements("nora", { includeIncomplete: "true" }),
    streak: await client.users.streak("nora", { historyPeriods: 3 }),
    streaks: await client.streaks.list({ userIds: ["nora", "nobody"] }),
    summary: await client.points.summary("xp"),
    system: await client.points.system("xp"),
    history: await client.users.pointsEventSummary("nora", "xp", {
      aggregation: "daily",
      startDate: "2026-01-01",
      endDate: "2026-01-03",
    }),
    own: await nora.users.get("nora"),
    refused: await nora.users.get("somebody-else").catch(statusOf),
    unknownMetric: await client.metrics.event("steps", event).catch(bodyOf),
    unknownUser: await client.users.get("nobody").catch(statusOf),
    unknownKey: await new TrophyApiClient({ apiKey: "nonsense", environment }).users.get("nora").catch(statusOf),
  };
}

main().then(
  (result) => console.log(JSON.stringify(result)),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
