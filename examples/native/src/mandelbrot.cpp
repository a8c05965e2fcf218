// A function in C++ for the native runtime. The standard library, exceptions and
// all, may be used as in any other code; no exception may leave the function.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace {

// The input: a window of the plane and how many pixels to divide it into.
struct Window {
	double left, top, width, height;
	uint32_t columns, rows;
};

uint8_t iterations(double x, double y)
{
	double a = 0, b = 0;
	for (int n = 0; n < 255; n++) {
		double aa = a * a, bb = b * b;
		if (aa + bb > 4)
			return static_cast<uint8_t>(n);
		double ab = a * b;
		a = aa - bb + x;
		b = ab + ab + y;
	}
	return 255;
}

Window parse(const void *args, uint32_t size)
{
	Window w;
	if (size != sizeof w)
		throw std::invalid_argument("not a window");
	std::memcpy(&w, args, sizeof w);
	if (w.columns == 0 || w.rows == 0 || w.columns > 4096 || w.rows > 4096)
		throw std::out_of_range("too many pixels, or none");
	return w;
}

} // namespace

// mandelbrot returns a grey picture of the Mandelbrot set in Netpbm's format without
// a header: a byte for each pixel, row by row. A window that makes no sense gives
// an empty one.
extern "C" uint32_t mandelbrot(void *args, uint32_t size, void *res)
{
	try {
		const Window w = parse(args, size);
		std::vector<uint8_t> row(w.columns);
		auto *out = static_cast<uint8_t *>(res);
		for (uint32_t j = 0; j < w.rows; j++) {
			double y = w.top - w.height * j / w.rows;
			for (uint32_t i = 0; i < w.columns; i++) {
				double x = w.left + w.width * i / w.columns;
				row[i] = iterations(x, y);
			}
			out = std::copy(row.begin(), row.end(), out);
		}
		return w.columns * w.rows;
	} catch (const std::exception &) {
		return 0;
	}
}
