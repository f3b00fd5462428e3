#include "common/failure.h"

#include <new>

namespace lockstep {

std::string failure_text(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const MpiError&) {
    throw;
  } catch (const Error& e) {
    return e.what();
  } catch (const std::bad_alloc&) {
    return "out of memory: a smaller model, fewer ranks a host, or checkpoint.async: false need "
           "less";
  } catch (const std::exception& e) {
    const std::string text = e.what();
    const auto line = text.substr(0, text.find('\n'));
    return line.empty() ? "an exception without a text" : line;
  } catch (...) {
    return "an exception that is no std::exception";
  }
}

ErrorCode failure_code(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const Error& e) {
    return e.code() == ErrorCode::kOk ? ErrorCode::kInternal : e.code();
  } catch (...) {
    return ErrorCode::kInternal;
  }
}

void throw_from(std::string_view where, const std::exception_ptr& error) {
  const auto text = failure_text(error);
  throw Error(failure_code(error), std::string(where) + ": " + text);
}

bool names_others_code(std::string_view text) {
  return text.starts_with("the task's ") || text.starts_with("the loop's ");
}

}  // namespace lockstep
