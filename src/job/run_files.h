/* run_files.h: what the files of a run directory share. Private to src/job. */
#ifndef GLOT_JOB_RUN_FILES_H
#define GLOT_JOB_RUN_FILES_H

#include "job/run_dir.h"

void glot_run_close_metrics(glot_run_dir *d);

#endif
