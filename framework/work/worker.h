// The worker: `holdfast stage-worker`, started by a run or a worker. It speaks JSON lines on two descriptors of its own, so
// that whatever a plugin prints cannot disturb the protocol.
#pragma once

namespace holdfast {

/// Serves until the requests end. A worker without a store answers questions about plugins (plugin_server.h), any other runs
/// stages, of which a request lists one, or a gang that runs together. Its answers, one a stage, each with "stage", its place
/// in the list: {"status": "ok", "digest", "cost", "bytes"}, {"status": "failed", "message"} with "broken" where something else
/// than an Error was thrown or a file changed, after which nobody knows what state the process is in, and
/// {"status": "corrupt", "kind", "key", "message"}; each with "warm", the digests of the weights in memory. Before an answer
/// may come lines {"progress": {"unit", "done", "total", "loss", "rate"}}, about one a second. An object in the place of a list
/// is questions that are no stages (work/chat.h). Returns the exit code.
int serve_worker();

}  // namespace holdfast
