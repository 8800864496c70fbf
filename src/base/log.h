/* log.h: what the library has to say while it works (warnings, notes) goes to a sink that the program sets;
 * without one it is dropped. The library itself never prints. */
#ifndef GLOT_BASE_LOG_H
#define GLOT_BASE_LOG_H

typedef enum glot_log_level { GLOT_LOG_DEBUG, GLOT_LOG_INFO, GLOT_LOG_WARNING } glot_log_level;

/* `message` is one line without a newline, valid during the call. May be called from any thread. */
typedef void glot_log_sink(void *user, glot_log_level level, const char *message);
void glot_log_set_sink(glot_log_sink *sink, void *user);

void glot_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));
void glot_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void glot_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
