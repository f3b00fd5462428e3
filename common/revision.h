#pragma once

namespace lockstep {

// "b559bf4", or "v0.1.0-3-gb559bf4" behind a tag; with "-dirty" where files differed from the
// commit.
// "" where the sources were no checkout. Linked by few programs, and never by what build_id() is
// the digest of: the same code must have the same id after a commit that does not touch it.
const char* source_revision();

}  // namespace lockstep
