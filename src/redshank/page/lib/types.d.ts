/** What the HTTP interface sends, as far as the page reads it (docs/http.md). */

export type Status = 'learning' | 'normal' | 'warning' | 'anomaly';
export type Severity = 'low' | 'medium' | 'high';
export type Mark = 'real' | 'false' | 'expected';

export interface Channel {
  unit: string | null;
  title: string | null;
  resolution: number | null;
  value: number | null;
}

export interface Sensor {
  sensor_id: string;
  name: string | null;
  site: string | null;
  latitude: number | null;
  longitude: number | null;
  exposure: string | null;
  timezone: string;
  source: string | null;
  tags: Record<string, string>;
  status: Status;
  rate: number | null;
  open_incidents: number;
  first_seen: string | null;
  last_seen: string | null;
  rhythm_seconds: number | null;
  readings: number;
  budget: number | null;
  channels: Record<string, Channel>;
}

export interface Fleet {
  total: number;
  counts: Record<Status | 'with_open_incidents', number>;
  sensors: Sensor[];
  newest?: string | null;
  sites?: string[];
}

/** A stored row; its channels stand beside these. */
export interface FlaggedEvent {
  event_id: string;
  sensor_id: string;
  timestamp: string;
  flags?: Record<string, string[]>;
  [channel: string]: unknown;
}

/** Columns, an entry a sensor; status is 0 learning to 3 anomaly. */
export interface States {
  total: number;
  sensor_id: string[];
  name: string[];
  site: string[];
  status: number[];
  open_incidents: number[];
}

export interface SensorChange {
  sensor_id: string;
  status: Status;
  rate: number | null;
  last_seen: string;
  values: Record<string, number | null>;
  open_incidents: number;
}

export interface SeriesChannel {
  unit: string | null;
  resolution: number | null;
  low: (number | null)[];
  high: (number | null)[];
  mean: (number | null)[];
  expected: (number | null)[];
  lower: (number | null)[];
  upper: (number | null)[];
  contribution: (number | null)[];
  flags: number[];
}

export interface SeriesIncident {
  id: string;
  start: string;
  end: string | null;
  severity: Severity;
  channels: string[];
}

export interface Series {
  sensor_id: string;
  start: string;
  end: string;
  bucket_seconds: number | null;
  gap_seconds: number;
  time: number[];
  channels: Record<string, SeriesChannel>;
  score: (number | null)[];
  rate: (number | null)[];
  status: number[];
  incidents: SeriesIncident[];
}

export interface Sparkline {
  start: string;
  step_seconds: number;
  channels: Record<string, (number | null)[]>;
}

export interface Evidence {
  channel: string;
  unit: string | null;
  share: number;
  value: number | null;
  expected: number | null;
  lower: number | null;
  upper: number | null;
}

export interface Incident {
  id: string;
  sensor_id: string;
  sensor_name: string | null;
  state: 'open' | 'closed';
  opened: string;
  last: string;
  closed: string | null;
  duration_seconds: number;
  severity: Severity;
  kind: string;
  origin: 'sensor' | 'event' | 'unknown';
  title: string;
  text: string;
  rate: number | null;
  once_in_days: number | null;
  score: number;
  peak: string | null;
  rows: number;
  budget: number;
  evidence: Evidence[];
  calm: string[];
  feedback: Mark | null;
  comments: { time: string; text: string; author: string }[];
  notifications: { time?: string; channel?: string; to?: string; text?: string; status?: string }[];
}

export interface IncidentList {
  total: number;
  open: number;
  incidents: Incident[];
}

export interface CountedRate {
  count: number;
  per_sensor_month: number | null;
  low: number | null;
  high: number | null;
}

export interface Budget {
  per_sensor_month: number;
  per_fleet_day: number | null;
  sensors_with_own: Record<string, number>;
  sensors: number;
  sensors_sharing: number;
  fleet_per_day: number;
  promised: { days: number; sensor_months: number; incidents: number };
  measured: {
    incidents: number;
    marked_false: number;
    marked_real: number;
    marked_expected: number;
    unmarked: number;
    false: CountedRate;
    false_or_unmarked: CountedRate;
  };
  verdict: 'kept' | 'unclear' | 'exceeded' | 'unknown';
  too_slow: { count: number; sensors: string[] };
}

export interface PreviewIncident {
  sensor_id: string;
  sensor_name: string | null;
  opened: string;
  last: string;
  rate: number;
  id: string | null;
  title?: string | null;
}

export interface Preview {
  per_sensor_month: number;
  days: number;
  count: number;
  count_now: number;
  incidents: PreviewIncident[];
}

export interface VerdictRow {
  time: number;
  values: Record<string, number | null>;
  expected: Record<string, number | null>;
  lower: Record<string, number | null>;
  upper: Record<string, number | null>;
  contributions: Record<string, number | null>;
  flags: Record<string, number>;
  score: number | null;
  rate: number | null;
  status: number;
}

export type Message =
  | { type: 'hello'; version: string; time: string }
  | { type: 'verdicts'; sensor_id: string; rows: VerdictRow[]; thinned?: boolean }
  | { type: 'sensors'; sensors: SensorChange[] }
  | { type: 'incident'; change: 'opened' | 'updated' | 'closed' | 'removed'; incident: Incident }
  | { type: 'progress'; source: string; progress: number; text: string }
  | { type: 'budget'; per_sensor_month: number }
  | { type: 'error'; detail: string };

/** A series as columns ready to draw: missing numbers are NaN, times are Unix milliseconds. */
export interface Columns {
  from: number;
  to: number;
  bucket: number | null;
  gap: number;
  time: Float64Array;
  score: Float64Array;
  rate: Float64Array;
  status: Uint8Array;
  channels: Record<string, ChannelColumns>;
  incidents: SeriesIncident[];
}

export interface ChannelColumns {
  unit: string;
  resolution: number | null;
  low: Float64Array;
  high: Float64Array;
  mean: Float64Array;
  expected: Float64Array;
  lower: Float64Array;
  upper: Float64Array;
  contribution: Float64Array;
  flags: Uint16Array;
}
