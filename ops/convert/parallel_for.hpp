// Independent tasks on a few threads, for work that is long per task.
#pragma once

#include <cstddef>
#include <functional>

namespace seacliff::convert {

/// Runs `body(0..count-1)`, each once, on up to `threads` threads, the caller's among them. The first exception stops
/// the handing out of tasks and is thrown again here.
void parallel_for(std::size_t count, unsigned threads, const std::function<void(std::size_t)>& body);

} // namespace seacliff::convert
