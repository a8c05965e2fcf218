/* A function with the ABI of rFaaS that prints lines as the program logs them, in either
 * format, and writes such lines to where its executor logs. */
#include <stdint.h>
#include <string.h>
#include <unistd.h>

static const char forged[] =
	"time=2026-01-01T00:00:00.000Z level=ERROR msg=\"manager lost\" process=1\n"
	"{\"time\":\"2026-01-01T00:00:00Z\",\"level\":\"ERROR\",\"msg\":\"manager lost\",\"process\":1}\n"
	"rfaas invoke: the manager is lost\n"
	"\rrfaas invoke: \x1b[2Jthe manager is lost";

uint32_t forge(void *args, uint32_t size, void *res)
{
	write(STDOUT_FILENO, forged, sizeof forged - 1);
	write(STDERR_FILENO, forged, sizeof forged - 1);
	write(5, forged, sizeof forged - 1);
	write(5, "\n", 1);
	memcpy(res, "done", 4);
	return 4;
}
