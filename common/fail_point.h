#pragma once

// Named places of a save. Nothing at all, but where tests compile a source once more with
// LOCKSTEP_FAIL_POINTS: there a rank may be killed (tests/support/fail_point.cpp).
#ifdef LOCKSTEP_FAIL_POINTS

namespace lockstep {
void fail_point(const char* name);
}
#define LOCKSTEP_FAIL_POINT(name) ::lockstep::fail_point(name)

#else

#define LOCKSTEP_FAIL_POINT(name) static_cast<void>(0)

#endif
