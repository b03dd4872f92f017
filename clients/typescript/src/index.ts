/** The bot's side of Botwatch, for Node 20 and newer; without dependencies. */

export { EnterpriseMonitoringController, type Fields, type PerformanceMetrics } from "./controller.js";
export type { Alert, Dashboard, Period, Report } from "./dashboard.js";
export { BotwatchError, type Fault, FullError, InvalidRecordError, RefusedError, UnreachableError } from "./errors.js";
export type * from "./generated/records.js";
export { EnterpriseSystemHealthMonitor, type HealthStatus } from "./health_monitor.js";
export type { Stats } from "./sender.js";
export type { Options } from "./settings.js";
