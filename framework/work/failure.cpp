#include "work/failure.h"

#include <holdfast/error.h>

#include <new>
#include <string>

#include "base/keyed_files.h"
#include "base/stop_point.h"
#include "store/store.h"

namespace holdfast {
namespace {

// The first line only: torch appends a stack trace to its messages.
std::string sentence(const std::string& text) { return text.substr(0, text.find('\n')); }

Json broken(const std::string& message) { return {{"status", "failed"}, {"message", message}, {"broken", true}}; }

}  // namespace

Json failure(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const CorruptArtifact& corrupt) {
    return {{"status", "corrupt"}, {"kind", to_string(corrupt.kind)}, {"key", corrupt.key}, {"message", corrupt.what()}};
  } catch (const Stopped&) {
    return {{"status", "stopped"}};
  } catch (const InputChanged& changed) {
    return broken(changed.what());
  } catch (const Error& error) {
    return {{"status", "failed"}, {"message", error.what()}};
  } catch (const std::bad_alloc&) {
    return broken("ran out of memory");
  } catch (const std::exception& error) {
    return broken(sentence(error.what()));
  } catch (...) {
    return broken("threw something that is no std::exception");
  }
}

}  // namespace holdfast
