// lockstepd behind its first stage: every rank of a job runs this.

#include "coordinator/daemon/program.h"

int main(int argc, char** argv) {
  return lockstep::run_program(argc, argv);
}
