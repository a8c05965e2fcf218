#include <cstdint>
#include <stdexcept>

extern "C" uint32_t uncaught(void *, uint32_t, void *) { throw std::runtime_error("nobody catches this"); }

extern "C" uint32_t caught(void *, uint32_t, void *res)
{
	try {
		throw std::runtime_error("somebody does");
	} catch (const std::exception &) {
		*static_cast<uint32_t *>(res) = 42;
	}
	return 4;
}

uint32_t mangled(void *, uint32_t, void *) { return 0; }
