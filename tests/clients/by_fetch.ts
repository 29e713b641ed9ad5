// Posts and reads with what openapi-typescript makes, through openapi-fetch, and prints what it got.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

type Event = components["schemas"]["Event"];
type Figures = components["schemas"]["RoiFigures"];

const [url, key] = [process.env["URL_OF_SERVICE"] ?? "", process.env["KEY"] ?? ""];
const api = createClient<paths, `application/${string}json`>({ baseUrl: url, headers: { Authorization: `Bearer ${key}` } });

const lead: Event = {
  specversion: "1.0", id: "lead", source: "/fetch", type: "lead.captured", time: "2026-03-01T09:30:00Z",
  data: { lead_id: "LD-1", campaign_id: "fair", channel: "event" },
};
const cost: Event = {
  specversion: "1.0", id: "cost", source: "/fetch", type: "campaign.cost_booked", time: "2026-03-01T09:30:00Z",
  data: { cost_entry_id: "C-1", campaign_id: "fair", amount: { amount: "100.00", currency: "EUR" }, cost_date: "2026-03-01" },
};
const order: Event = {
  specversion: "1.0", id: "order", source: "/fetch", type: "order.placed", time: "2026-03-09T09:30:00Z",
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
  const one = await api.POST("/v1/events", { body: lead });
  const again = await api.POST("/v1/events", { body: lead });
  const list = await api.POST("/v1/events", { body: [cost, { ...wrong, id: "wrong" }] });
  const batch = await api.POST("/v1/events", {
    body: [order], headers: { "Content-Type": "application/cloudevents-batch+json" },
  });
  const bulk = await api.POST("/v1/events", {
    body: `${JSON.stringify(lead)}\n`, headers: { "Content-Type": "application/x-ndjson" },
    bodySerializer: (body) => String(body),
  });
  if (!one.data || !again.data || !list.data || !batch.data || !bulk.data) throw new Error("not taken");
  if (!("items" in list.data) || !("items" in batch.data)) throw new Error("a list is answered by items");
  const problem: components["schemas"]["Problem"] | null | undefined = list.data.items[1]?.problem;

  const query = { min_position: batch.data.last_position };
  const roi = (await api.GET("/v1/roi", { params: { query: { ...query, group_by: "campaign,month" } } })).data;
  const conversion = (await api.GET("/v1/conversion", { params: { query } })).data;
  const velocity = (await api.GET("/v1/velocity", { params: { query } })).data;
  const path = { campaign_id: "fair" };
  const flat = (await api.GET("/v1/campaigns/{campaign_id}/roi", { params: { path, query } })).data;
  const steps = (await api.GET("/v1/campaigns/{campaign_id}/conversion", { params: { path, query } })).data;
  const days = (await api.GET("/v1/campaigns/{campaign_id}/velocity", { params: { path, query } })).data;
  const entries = (await api.GET("/v1/roi/entries", { params: { query: { ...query, measure: "actual_cost" } } })).data;
  const moved = (await api.GET("/v1/restatement", { params: { query: { ...query, from_as_of: "1" } } })).data;
  const complete = (await api.GET("/v1/completeness", { params: { query } })).data;
  const log = (await api.GET("/v1/events", { params: { query: { type: ["lead.captured"] } } })).data;
  const refused = await api.GET("/v1/journeys/{kind}/{id}", { params: { path: { kind: "order", id: "O-9" } } });
  if (!roi || !conversion || !velocity || !flat || !steps || !days || !entries || !moved || !complete || !log) {
    throw new Error("not read");
  }
  const first = log[0];
  console.log(JSON.stringify({
    statuses: [one.response.status, again.response.status, list.response.status, batch.response.status, bulk.response.status],
    problem: [problem?.status, problem?.title, problem?.errors?.[0]?.field],
    roi: [roi.rows[0]?.campaign_id, roi.rows[0]?.month, roi.total.actual_cost, roi.total.roi.booked, roi.currency],
    conversion: [conversion.total.entered.ordered, conversion.total.funnel.captured.count],
    velocity: velocity.total.sales_cycle.count,
    flat: [flat.campaign_id, flat.booked_revenue, steps.entered.captured, days.full_cycle.count],
    entries: [entries.sum, entries.entries[0]?.event.type],
    moved: moved.total["actual_cost"]?.difference,
    complete: complete.waiting.length,
    lead: first?.type === "lead.captured" ? first.data.lead_id : null,
    refused: [refused.response.status, refused.error?.status],
  }));
}

void main();
