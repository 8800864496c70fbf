/* log.c: one sink, set once by the program before it starts work. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

static glot_log_sink *log_sink;
static void *log_user;

void glot_log_set_sink(glot_log_sink *sink, void *user)
{
    log_sink = sink;
    log_user = user;
}

static void emit(glot_log_level level, const char *format, va_list args)
{
    char line[2048];
    if (!log_sink)
        return;
    vsnprintf(line, sizeof line, format, args);
    log_sink(log_user, level, line);
}

#define DEFINE_LEVEL(function, level)                                                                        \
    void function(const char *format, ...)                                                                   \
    {                                                                                                        \
        va_list args;                                                                                        \
        va_start(args, format);                                                                              \
        emit(level, format, args);                                                                           \
        va_end(args);                                                                                        \
    }
DEFINE_LEVEL(glot_debug, GLOT_LOG_DEBUG)
DEFINE_LEVEL(glot_info, GLOT_LOG_INFO)
DEFINE_LEVEL(glot_warn, GLOT_LOG_WARNING)
