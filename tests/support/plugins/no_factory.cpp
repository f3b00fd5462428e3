// Says what it was built with, but makes no task.

#include "worker/plugin.h"
