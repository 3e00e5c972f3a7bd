import type { Call, Route } from "./route.ts";

/** Prometheus' page, for those who have shown who they are where that counts. */
export function metricsRoutes(deps: {
  readonly render: () => string;
  readonly admit: (call: Call) => void;
}): readonly Route[] {
  return [
    {
      method: "GET",
      pattern: "/metrics",
      name: "metrics",
      action: undefined,
      run: async (call) => {
        deps.admit(call);
        call.exchange.send(
          200,
          { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" },
          deps.render(),
        );
      },
    },
  ];
}
