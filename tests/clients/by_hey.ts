// Posts and reads with what @hey-api/openapi-ts makes, and prints what it got.
import { client } from "./hey/client.gen";
import {
  getCampaignConversion, getCampaignRoi, getCampaignVelocity, getCompleteness, getConversion, getEvents, getJourney, getRestatement,
  getRoi, getRoiEntries, getVelocity, postEvents,
} from "./hey";
import type { EventWritable as Event, Problem, RoiFigures as Figures } from "./hey";

client.setConfig({ baseUrl: process.env["URL_OF_SERVICE"] ?? "", auth: process.env["KEY"] ?? "" });

const lead: Event = {
  specversion: "1.0", id: "lead", source: "/hey", type: "lead.captured", time: "2026-03-01T09:30:00Z",
  data: { lead_id: "LD-1", campaign_id: "fair", channel: "event" },
};
const cost: Event = {
  specversion: "1.0", id: "cost", source: "/hey", type: "campaign.cost_booked", time: "2026-03-01T09:30:00Z",
  data: { cost_entry_id: "C-1", campaign_id: "fair", amount: { amount: "100.00", currency: "EUR" }, cost_date: "2026-03-01" },
};
const order: Event = {
  specversion: "1.0", id: "order", source: "/hey", type: "order.placed", time: "2026-03-09T09:30:00Z",
  data: { order_id: "O-1", campaign_id: "fair", net_value: { amount: "250.00", currency: "EUR" } },
};
const wrong: Event = { ...cost, data: { ...cost.data, amount: { amount: "1.234", currency: "EUR" } } };

// @ts-expect-error the data of a lead are no data of a cost
export const mixed: Event = { ...cost, data: lead.data };
// @ts-expect-error there is no such type
export const unknown: Event = { ...lead, type: "lead.caught" };
// @ts-expect-error money is no number
export const number: Event = { ...order, data: { order_id: "O-2", net_value: 250 } };
// @ts-expect-error a misspelt field
export const misspelt: Event = { ...lead, data: { lead_id: "LD-1", campagin_id: "fair" } };
// @ts-expect-error there is no such figure
export const figure = (row: Figures): unknown => row.revenue;

async function main(): Promise<void> {
  const one = await postEvents({ body: lead });
  const again = await postEvents({ body: lead });
  const list = await postEvents({ body: [cost, { ...wrong, id: "wrong" }] });
  const batch = await postEvents({
    body: [order], headers: { "Content-Type": "application/cloudevents-batch+json" },
  });
  if (!one.data || !again.data || !list.data || !batch.data) throw new Error("not taken");
  if (!("items" in list.data) || !("items" in batch.data)) throw new Error("a list is answered by items");
  const problem: Problem | null | undefined = list.data.items[1]?.problem;

  const query = { min_position: batch.data.last_position };
  const roi = (await getRoi({ query: { ...query, group_by: "campaign,month" } })).data;
  const conversion = (await getConversion({ query })).data;
  const velocity = (await getVelocity({ query })).data;
  const path = { campaign_id: "fair" };
  const flat = (await getCampaignRoi({ path, query })).data;
  const steps = (await getCampaignConversion({ path, query })).data;
  const days = (await getCampaignVelocity({ path, query })).data;
  const entries = (await getRoiEntries({ query: { ...query, measure: "actual_cost" } })).data;
  const moved = (await getRestatement({ query: { ...query, from_as_of: "1" } })).data;
  const complete = (await getCompleteness({ query })).data;
  const log = (await getEvents({ query: { type: ["lead.captured"] } })).data;
  const refused = await getJourney({ path: { kind: "order", id: "O-9" } });
  if (!roi || !conversion || !velocity || !flat || !steps || !days || !entries || !moved || !complete || !log) {
    throw new Error("not read");
  }
  const first = log[0];
  console.log(JSON.stringify({
    statuses: [one.response?.status, again.response?.status, list.response?.status, batch.response?.status],
    problem: [problem?.status, problem?.title, problem?.errors?.[0]?.field],
    roi: [roi.rows[0]?.campaign_id, roi.rows[0]?.month, roi.total.actual_cost, roi.total.roi.booked, roi.currency],
    conversion: [conversion.total.entered.ordered, conversion.total.funnel.captured.count],
    velocity: velocity.total.sales_cycle.count,
    flat: [flat.campaign_id, flat.booked_revenue, steps.entered.captured, days.full_cycle.count],
    entries: [entries.sum, entries.entries[0]?.event.type],
    moved: moved.total["actual_cost"]?.difference,
    complete: complete.waiting.length,
    lead: first?.type === "lead.captured" ? first.data.lead_id : null,
    refused: [refused.response?.status, refused.error?.status],
  }));
}

void main();
