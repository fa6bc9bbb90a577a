"""The compiled loops of ``winograd``, ``pointwise`` and ``normalization`` beside this module.

They are one module because Numba's cache notices a change of a function's own module only, not one
of another module whose functions it has compiled in.

A callback runs on every thread of :func:`chainer_zoo.engines.cpu.openmp.run`. It gets the address
of a description of its arrays and numbers, and begins with :func:`_unpack`. Import this module only
where Numba can be used and oneDNN loads.

Arrays are float32, images C-ordered: (B, H, W, C or more, of which the first C channels count).
A *tile* is 2 x 2 pixels of a 3x3 convolution's result; ``first`` and ``count`` say which rows of
tiles are worked on, counted through all images, ``tiles_y`` and ``tiles_x`` how many of them a
image is high and wide. Their arithmetic is done on whole rows of tiles, in loops that are long
enough for vectors. For that the pixels of a row are parted into those at even and at odd columns.
"""

import ctypes

import llvmlite.binding
import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

from chainer_zoo import jit
from chainer_zoo.engines.cpu import openmp
from chainer_zoo.engines.cpu import primitive

_GAP = openmp.GAP
# Floats that moments are taken of in one loop, where a pixel has fewer; rows of them that are
# summed up in float32; and by how much a sum of squares may be above the variance's.
_WIDTH, _ROWS, _MOST_CANCELLED = 512, 32, 1


def _external(name, returned, *arguments):
    """Return a function of the library, or of libgomp on which that depends, for compiled loops."""
    function = getattr(primitive.context().library, name)
    llvmlite.binding.add_symbol(name, ctypes.cast(function, ctypes.c_void_p).value)
    return types.ExternalFunction(name, returned(*arguments))


_sgemm = _external(
    'dnnl_sgemm',
    types.int32,
    types.int8,
    types.int8,
    types.int64,
    types.int64,
    types.int64,
    types.float32,
    types.intp,
    types.int64,
    types.intp,
    types.int64,
    types.float32,
    types.intp,
    types.int64,
)
_PLAIN, _TURNED = b'NT'  # how it takes a matrix
_thread_number = _external('omp_get_thread_num', types.int32)
_thread_count = _external('omp_get_num_threads', types.int32)


@intrinsic
def _pointer(_, address):
    """Make a pointer of an address (int64)."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.voidptr(address), generate


@jit.compiled
def _unpack(call):
    """Return a call's table of arrays and its numbers, int64 both.

    A call is int64 numbers: how many arrays, how many numbers, for each array its address and 4
    extents, and the numbers, the first of which is 0 until oneDNN reports a failure.
    """
    header = numba.carray(call, (2,), np.int64)
    table = header.ctypes.data + 2 * 8
    return (
        numba.carray(_pointer(table), (header[0], 5), np.int64),
        numba.carray(_pointer(table + header[0] * 5 * 8), (header[1],), np.int64),
    )


@jit.compiled
def _vector(entry):
    """Return the array of a table's entry, of one axis."""
    return numba.carray(_pointer(entry[0]), (entry[1],), np.float32)


@jit.compiled
def _cube(entry):
    """Return the array of a table's entry, of three axes."""
    return numba.carray(_pointer(entry[0]), (entry[1], entry[2], entry[3]), np.float32)


@jit.compiled
def _images(entry):
    """Return the array of a table's entry, of four axes."""
    return numba.carray(_pointer(entry[0]), (entry[1], entry[2], entry[3], entry[4]), np.float32)


@jit.compiled
def _multiply(numbers, turned, m, n, k, a, a_pitch, b, b_pitch, beta, y, y_pitch):
    """Set y to a b + beta y, in one thread: oneDNN's sgemm.

    Args:
        numbers (numpy.ndarray): of the call.
        turned (pair of bool): whether it is the transpose of a, and of b, that lies there.
        m, n, k (int): the shapes: y (m, n), a (m, k), b (k, n).
        a, b, y (numpy.ndarray): float32, which begin with these, C-ordered.
        a_pitch, b_pitch, y_pitch (int): numbers from one row of what lies there to the next.
        beta (float): what of y is kept.
    """
    status = _sgemm(
        _TURNED if turned[0] else _PLAIN,
        _TURNED if turned[1] else _PLAIN,
        m,
        n,
        k,
        np.float32(1),
        a.ctypes.data,
        a_pitch,
        b.ctypes.data,
        b_pitch,
        np.float32(beta),
        y.ctypes.data,
        y_pitch,
    )
    if status:
        numbers[0] = status


@jit.compiled
def _share(count):
    """Return this thread's number, the first of ``count`` that is its own, and the first after."""
    number, threads = _thread_number(), _thread_count()
    return number, count * number // threads, count * (number + 1) // threads


@jit.compiled
def _normalize(x, scale, shift, y):
    """Write ReLU(scale x + shift) into the first numbers of y, or x where there is no scale."""
    if len(scale):
        for i in range(len(x)):
            normalized = scale[i] * x[i] + shift[i]
            y[i] = np.float32(0) if normalized < 0 else normalized  # which leaves NaN what it is
    else:
        for i in range(len(x)):
            y[i] = x[i]


@jit.compiled
def _add(x, least, y):
    """Add ``x`` to ``y``, and raise what is below ``least`` to that."""
    for i in range(len(y)):
        total = x[i] + y[i]
        y[i] = least if total < least else total  # likewise


@jit.compiled
def _input_rule(n, a, b, c, d, y0, y1, y2, y3):
    """Apply B of F(2, 3), the rule for what is convolved, to the first n numbers of four arrays."""
    for i in range(n):
        y0[i] = a[i] - c[i]
        y1[i] = b[i] + c[i]
        y2[i] = c[i] - b[i]
        y3[i] = b[i] - d[i]


@jit.compiled
def _output_rule(n, a, b, c, d, y0, y1):
    """Apply A of F(2, 3), the rule for the result, to the first n numbers of four arrays."""
    for i in range(n):
        y0[i] = a[i] + b[i] + c[i]
        y1[i] = b[i] - c[i] - d[i]


@jit.compiled
def _gradient_rule(n, a, b, y0, y1, y2, y3):
    """Apply the transpose of the rule for the result to two arrays, likewise."""
    for i in range(n):
        y0[i] = a[i]
        y1[i] = a[i] + b[i]
        y2[i] = a[i] - b[i]
        y3[i] = -b[i]


@jit.compiled
def _part(x, row, c, scale, shift, pad, even, odd):
    """Part a row of an image, c channels a pixel, normalized where there is a scale.

    With ``pad`` zeros before it; where there is no such row, it is zeros.
    """
    if row < 0 or row >= len(x):
        even[:] = 0
        odd[:] = 0
        return
    source = x[row]
    for column in range(x.shape[1]):
        start = (pad + column) // 2 * c
        target = odd if (pad + column) % 2 else even
        _normalize(source[column, :c], scale, shift, target[start:])


@jit.compiled
def spread_input(x, c, scale, shift, pad_y, pad_x, first, count, tiles_y, tiles_x, out):
    """Write what is multiplied for each tile of the result: B^T d B, d the 4 x 4 pixels it meets.

    Args:
        x (numpy.ndarray): (B, H, W, C or more).
        c (int): C.
        scale, shift (numpy.ndarray): (C,), for ReLU(scale x + shift) in place of x; or (0,).
        pad_y (int): rows of zeros before the first.
        pad_x (int): columns of zeros before the first.
        out (numpy.ndarray): (16, at least count * tiles_x * C), overwritten from the left.
    """
    n = tiles_x * c
    even, odd = np.zeros(n + c, np.float32), np.zeros(n + c, np.float32)
    # Rows of pixels, each after the rule along its columns.
    rows = np.empty((4, 4, n + _GAP), np.float32)
    for k in range(count):
        image = (first + k) // tiles_y
        tile_y = (first + k) % tiles_y
        top = 2 * tile_y - pad_y
        # The tile above has met the first two rows, too.
        for row in range(top if k == 0 or tile_y == 0 else top + 2, top + 4):
            _part(x[image], row, c, scale, shift, pad_x, even, odd)
            y = rows[row & 3]
            _input_rule(n, even, odd, even[c:], odd[c:], y[0], y[1], y[2], y[3])
        s = slice(k * n, (k + 1) * n)
        for j in range(4):
            _input_rule(
                n,
                rows[top & 3, j],
                rows[(top + 1) & 3, j],
                rows[(top + 2) & 3, j],
                rows[(top + 3) & 3, j],
                out[j, s],
                out[4 + j, s],
                out[8 + j, s],
                out[12 + j, s],
            )


@jit.compiled
def spread_gradient(gy, first, count, tiles_y, tiles_x, out):
    """Write what is multiplied for each tile of a gradient: A g A^T, g its 2 x 2 pixels.

    Args:
        gy (numpy.ndarray): (B, H, W, O).
        out (numpy.ndarray): (16, at least count * tiles_x * O), overwritten from the left.
    """
    o = gy.shape[3]
    n = tiles_x * o
    nothing = np.empty(0, np.float32)
    even, odd = np.zeros(n, np.float32), np.zeros(n, np.float32)
    rows = np.empty((2, 4, n + _GAP), np.float32)
    for k in range(count):
        for i in range(2):
            _part(
                gy[(first + k) // tiles_y],
                (first + k) % tiles_y * 2 + i,
                o,
                nothing,
                nothing,
                0,
                even,
                odd,
            )
            _gradient_rule(n, even, odd, rows[i, 0], rows[i, 1], rows[i, 2], rows[i, 3])
        s = slice(k * n, (k + 1) * n)
        for j in range(4):
            _gradient_rule(
                n, rows[0, j], rows[1, j], out[j, s], out[4 + j, s], out[8 + j, s], out[12 + j, s]
            )


@jit.compiled
def gather(products, o, bias, relu, added, relu_last, first, count, tiles_y, tiles_x, y):
    """Write a convolution's result: A^T m A, m the 16 products of each tile.

    Args:
        o (int): O, channels of the result.
        products (numpy.ndarray): (16, at least count * tiles_x * O).
        bias (numpy.ndarray): (O,) to add, or (0,).
        relu (bool): whether ReLU follows.
        added (numpy.ndarray): (B, H, W, O or more), what is added then, or of no elements.
        relu_last (bool): whether ReLU follows that.
        y (numpy.ndarray): (B, H, W, O or more), the rows of these tiles overwritten.
    """
    n = tiles_x * o
    rows = np.empty((2, 4, n + _GAP), np.float32)
    pixels = np.empty((2, n + _GAP), np.float32)  # of even and of odd columns
    biases = np.zeros(n, np.float32)
    if len(bias):
        for i in range(n):
            biases[i] = bias[i % o]
    least = np.float32(0 if relu else -np.inf)
    least_last = np.float32(0 if relu_last else -np.inf)
    for k in range(count):
        image = (first + k) // tiles_y
        s = slice(k * n, (k + 1) * n)
        for j in range(4):
            _output_rule(
                n,
                products[j, s],
                products[4 + j, s],
                products[8 + j, s],
                products[12 + j, s],
                rows[0, j],
                rows[1, j],
            )
        top = (first + k) % tiles_y * 2
        for row in range(top, min(top + 2, y.shape[1])):
            m = rows[row - top]
            _output_rule(n, m[0], m[1], m[2], m[3], pixels[0], pixels[1])
            if relu or len(bias):
                _add(biases, least, pixels[0, :n])
                _add(biases, least, pixels[1, :n])
            target = y[image, row]
            for column in range(y.shape[2]):
                source = pixels[column % 2]
                start = column // 2 * o
                for i in range(o):
                    target[column, i] = source[start + i]
                if added.size:
                    _add(added[image, row, column, :o], least_last, target[column, :o])


@jit.callback
def convolve_tiles(call):
    """Compute this thread's share of a convolution.

    Arrays: ``x``, ``y``, ``added``, ``bias``, ``scale`` and ``shift`` as above; the weights after
    their rule, (16, C, O); scratch memory for what is multiplied and for its products, (threads,
    16, at least step * tiles_x * C and O). Numbers: ``pad_y``, ``pad_x``, ``relu`` and
    ``relu_last`` as above; rows of tiles that are worked on at a time.
    """
    arrays, numbers = _unpack(call)
    x, y = _images(arrays[0]), _images(arrays[1])
    added = _images(arrays[2])
    bias = _vector(arrays[3])
    scale, shift = _vector(arrays[4]), _vector(arrays[5])
    factors = _cube(arrays[6])
    inputs, products = _cube(arrays[7]), _cube(arrays[8])
    pad_y, pad_x, relu, relu_last, step = numbers[1], numbers[2], numbers[3], numbers[4], numbers[5]
    _, c, o = factors.shape
    tiles_y, tiles_x = (y.shape[1] + 1) // 2, (y.shape[2] + 1) // 2
    number, start, stop = _share(len(y) * tiles_y)
    a, m = inputs[number], products[number]
    for first in range(start, stop, step):
        count = min(step, stop - first)
        spread_input(x, c, scale, shift, pad_y, pad_x, first, count, tiles_y, tiles_x, a)
        for i in range(16):
            _multiply(
                numbers, (False, False), count * tiles_x, o, c, a[i], c, factors[i], o, 0, m[i], o
            )
        gather(m, o, bias, relu, added, relu_last, first, count, tiles_y, tiles_x, y)


@jit.callback
def sum_products(call):
    """Sum up this thread's share of the gradients of weights and bias.

    Arrays: ``x`` and ``gy`` as above; the gradient of the bias, (threads, 1, O), to be added to;
    ``scale`` and ``shift`` as above; the gradient of the weights before its rule, (threads, 16, C *
    O), to be added to; scratch memory for both factors, (threads, 16, at least step * tiles_x * C
    and O). Numbers: ``pad_y``, ``pad_x``; rows of tiles that are worked on at a time.
    """
    arrays, numbers = _unpack(call)
    x, gy = _images(arrays[0]), _images(arrays[1])
    totals, sums = _cube(arrays[2]), _cube(arrays[5])
    scale, shift = _vector(arrays[3]), _vector(arrays[4])
    inputs, gradients = _cube(arrays[6]), _cube(arrays[7])
    pad_y, pad_x, step = numbers[1], numbers[2], numbers[3]
    c, o = x.shape[3], gy.shape[3]
    tiles_y, tiles_x = (gy.shape[1] + 1) // 2, (gy.shape[2] + 1) // 2
    number, start, stop = _share(len(gy) * tiles_y)
    a, g = inputs[number], gradients[number]
    for first in range(start, stop, step):
        count = min(step, stop - first)
        spread_input(x, c, scale, shift, pad_y, pad_x, first, count, tiles_y, tiles_x, a)
        spread_gradient(gy, first, count, tiles_y, tiles_x, g)
        for i in range(16):
            _multiply(
                numbers,
                (True, False),
                c,
                o,
                count * tiles_x,
                a[i],
                c,
                g[i],
                o,
                1,
                sums[number, i],
                o,
            )
        for t in range(count * tiles_x):  # of the sums of each tile's four pixels
            _add(g[5, t * o : (t + 1) * o], np.float32(-np.inf), totals[number, 0])


@jit.compiled
def _rows(x):
    """Return images as a matrix with a row for each pixel."""
    return x.reshape(x.shape[0] * x.shape[1] * x.shape[2], x.shape[3])


@jit.callback
def convolve_pixels(call):
    """Compute this thread's share of a 1x1 convolution.

    Arrays: ``x``, ``y``, ``added``, ``bias``, ``scale`` and ``shift`` as above; the weights, (1, O,
    C); scratch memory for what is multiplied, (threads, 1, at least step * C). Numbers: ``relu``
    and ``relu_last`` as above; pixels that are worked on at a time.
    """
    arrays, numbers = _unpack(call)
    x, y, added = _images(arrays[0]), _images(arrays[1]), _images(arrays[2])
    x, y, sums = _rows(x), _rows(y), _rows(added)
    bias = _vector(arrays[3])
    scale, shift = _vector(arrays[4]), _vector(arrays[5])
    factors, inputs = _cube(arrays[6]), _cube(arrays[7])
    relu, relu_last, step = numbers[1], numbers[2], numbers[3]
    _, o, c = factors.shape
    least = np.float32(0 if relu else -np.inf)
    least_last = np.float32(0 if relu_last else -np.inf)
    nothing = np.zeros(o, np.float32)
    number, start, stop = _share(len(y))
    a = inputs[number, 0]
    for first in range(start, stop, step):
        count = min(step, stop - first)
        for k in range(count):
            _normalize(x[first + k, :c], scale, shift, a[k * c :])
        _multiply(numbers, (False, True), count, o, c, a, c, factors, c, 0, y[first:], y.shape[1])
        for k in range(first, first + count):
            if relu or len(bias):
                _add(bias if len(bias) else nothing, least, y[k, :o])
            if len(sums):
                _add(sums[k, :o], least_last, y[k, :o])


@jit.compiled
def _sum_up(x, shift, sums, squares):
    """Set sums and squares, float64, to those of x - shift in each column of rows of len(shift)."""
    n = len(shift)
    sums[:] = 0
    squares[:] = 0
    some, some_squares = np.empty(n, np.float32), np.empty(n, np.float32)
    for first in range(0, len(x), _ROWS * n):
        some[:] = 0
        some_squares[:] = 0
        for start in range(first, min(first + _ROWS * n, len(x)), n):
            row = x[start : start + n]  # the last one may be shorter
            for i in range(len(row)):
                difference = row[i] - shift[i]
                some[i] += difference
                some_squares[i] += difference * difference
        for i in range(n):
            sums[i] += some[i]
            squares[i] += some_squares[i]


@jit.callback
def take_moments(call):
    """Take mean and variance of each channel over this thread's share of the pixels, in one pass.

    They come from the sums of what differs from a guess, and of its squares: from the mean of some
    pixels, or from the mean itself where that was too bad a guess.

    Arrays: ``x``; count, mean and variance, (threads, 3, C), overwritten where the count is not 0.
    """
    arrays, _ = _unpack(call)
    x, found = _rows(_images(arrays[0])), _cube(arrays[1])
    number, start, stop = _share(len(x))
    count, c = stop - start, x.shape[1]
    if count == 0:
        return
    guess = np.zeros(c, np.float64)
    for k in range(_ROWS):
        pixel = x[start + k * count // _ROWS]
        for i in range(c):
            guess[i] += pixel[i]
    guess /= _ROWS
    width = max(1, _WIDTH // c)
    shift = np.empty(width * c, np.float32)
    sums, squares = np.empty(width * c, np.float64), np.empty(width * c, np.float64)
    for _ in range(2):
        for i in range(len(shift)):
            shift[i] = guess[i % c]
        _sum_up(x[start:stop].reshape(count * c), shift, sums, squares)
        is_good = True
        for i in range(c):
            offset, square = 0.0, 0.0
            for k in range(i, len(shift), c):
                offset += sums[k]
                square += squares[k]
            offset /= count
            variance = max(0.0, square / count - offset * offset)
            guess[i] = shift[i] + offset
            found[number, 0, i], found[number, 1, i] = count, guess[i]
            found[number, 2, i] = variance
            # which is false for NaN
            is_good &= not offset * offset > _MOST_CANCELLED * variance
        if is_good:
            return


@jit.compiled
def join_moments(found, mean, var):
    """Write the mean and the variance of what several threads have taken moments of.

    Args:
        found (numpy.ndarray): float32 (threads, 3, C), count, mean and variance.
        mean, var (numpy.ndarray): float32 (C,), overwritten.
    """
    count = 0.0
    for k in range(len(found)):
        count += found[k, 0, 0]
    for i in range(len(mean)):
        first = second = 0.0
        for k in range(len(found)):
            if found[k, 0, 0]:
                first += found[k, 0, 0] / count * found[k, 1, i]
        for k in range(len(found)):
            if found[k, 0, 0]:
                offset = found[k, 1, i] - first
                second += found[k, 0, 0] / count * (found[k, 2, i] + offset * offset)
        mean[i], var[i] = first, second


@jit.compiled
def _tiled(values, c, n):
    """Return a float32 array of n numbers that repeats the c values."""
    tiled = np.empty(n, np.float32)
    for i in range(n):
        tiled[i] = values[i % c]
    return tiled


@jit.compiled
def _row_length(c):
    """Return how many numbers one loop handles: several pixels if they have few channels."""
    return max(1, _WIDTH // c) * c


@jit.compiled
def _normalize_rows(x, mean, scale, beta, relu, y):
    """Write scale (x - mean) + beta into y, with ReLU on demand; rows of len(mean) numbers."""
    n = len(mean)
    for start in range(0, len(x), n):
        source, target = x[start : start + n], y[start : start + n]  # the last may be shorter
        if relu:
            for i in range(len(source)):
                normalized = (source[i] - mean[i]) * scale[i] + beta[i]
                target[i] = np.float32(0) if normalized < 0 else normalized  # NaN stays
        else:
            for i in range(len(source)):
                target[i] = (source[i] - mean[i]) * scale[i] + beta[i]


@jit.callback
def normalize(call):
    """Normalize this thread's share of the pixels.

    Arrays: ``x`` and ``y``, (B H W C,); mean, scale and beta, (C,). Number: whether ReLU follows.
    """
    arrays, numbers = _unpack(call)
    x, y, mean = _vector(arrays[0]), _vector(arrays[1]), _vector(arrays[2])
    c = len(mean)
    _, start, stop = _share(len(x) // c)
    n = _row_length(c)
    _normalize_rows(
        x[start * c : stop * c],
        _tiled(mean, c, n),
        _tiled(_vector(arrays[3]), c, n),
        _tiled(_vector(arrays[4]), c, n),
        numbers[1] != 0,
        y[start * c : stop * c],
    )


@jit.callback
def sum_gradients(call):
    """Sum up the gradient of BN's result, and its products with x - mean, in each channel.

    As in Chainer, what ReLU holds back is multiplied by 0, so NaN comes through.

    Arrays: ``x`` and ``gy``, (B H W C,); mean, scale and beta, (C,); the sums, (threads, 2, C),
    overwritten. Number: whether ReLU followed.
    """
    arrays, numbers = _unpack(call)
    x, gy, mean = _vector(arrays[0]), _vector(arrays[1]), _vector(arrays[2])
    found = _cube(arrays[5])
    relu = numbers[1] != 0
    c = len(mean)
    number, start, stop = _share(len(x) // c)
    x, gy = x[start * c : stop * c], gy[start * c : stop * c]
    n = _row_length(c)
    means = _tiled(mean, c, n)
    scales, betas = _tiled(_vector(arrays[3]), c, n), _tiled(_vector(arrays[4]), c, n)
    sums, products = np.zeros(n, np.float64), np.zeros(n, np.float64)
    some, some_products = np.empty(n, np.float32), np.empty(n, np.float32)
    for first in range(0, len(x), _ROWS * n):
        some[:] = 0
        some_products[:] = 0
        for begin in range(first, min(first + _ROWS * n, len(x)), n):
            row, g = x[begin : begin + n], gy[begin : begin + n]
            if relu:
                for i in range(len(row)):
                    difference = row[i] - means[i]
                    active = (
                        np.float32(1) if difference * scales[i] + betas[i] > 0 else np.float32(0)
                    )
                    gradient = g[i] * active
                    some[i] += gradient
                    some_products[i] += gradient * difference
            else:
                for i in range(len(row)):
                    some[i] += g[i]
                    some_products[i] += g[i] * (row[i] - means[i])
        for i in range(n):
            sums[i] += some[i]
            products[i] += some_products[i]
    for i in range(c):
        total, total_products = 0.0, 0.0
        for k in range(i, n, c):
            total += sums[k]
            total_products += products[k]
        found[number, 0, i], found[number, 1, i] = total, total_products


@jit.callback
def differentiate_normalization(call):
    """Write the gradient of BN's input: scale (g - mean of g - (x - mean) slope).

    Arrays: ``x``, ``gy`` and ``gx``, (B H W C,); mean, scale, beta, the mean of g, and the slope,
    (C,). Number: whether ReLU followed.
    """
    arrays, numbers = _unpack(call)
    x, gy, gx, mean = (
        _vector(arrays[0]),
        _vector(arrays[1]),
        _vector(arrays[2]),
        _vector(arrays[3]),
    )
    relu = numbers[1] != 0
    c = len(mean)
    _, start, stop = _share(len(x) // c)
    n = _row_length(c)
    means = _tiled(mean, c, n)
    scales, betas = _tiled(_vector(arrays[4]), c, n), _tiled(_vector(arrays[5]), c, n)
    offsets, slopes = _tiled(_vector(arrays[6]), c, n), _tiled(_vector(arrays[7]), c, n)
    for begin in range(start * c, stop * c, n):
        end = min(begin + n, stop * c)
        row, g, target = x[begin:end], gy[begin:end], gx[begin:end]
        if relu:
            for i in range(len(row)):
                difference = row[i] - means[i]
                active = np.float32(1) if difference * scales[i] + betas[i] > 0 else np.float32(0)
                target[i] = scales[i] * (g[i] * active - offsets[i] - difference * slopes[i])
        else:
            for i in range(len(row)):
                target[i] = scales[i] * (g[i] - offsets[i] - (row[i] - means[i]) * slopes[i])


@jit.callback
def rectify(call):
    """Compute ReLU of this thread's share. Arrays: ``x`` and ``y``, of one size; may be one."""
    arrays, _ = _unpack(call)
    x, y = _vector(arrays[0]), _vector(arrays[1])
    _, start, stop = _share(len(x))
    x, y = x[start:stop], y[start:stop]
    for i in range(len(x)):
        y[i] = np.float32(0) if x[i] < 0 else x[i]  # NaN stays


@jit.callback
def add_and_rectify(call):
    """Compute ReLU of a sum. Arrays: two addends and ``y``, of one size."""
    arrays, _ = _unpack(call)
    a, b, y = _vector(arrays[0]), _vector(arrays[1]), _vector(arrays[2])
    _, start, stop = _share(len(y))
    a, b, y = a[start:stop], b[start:stop], y[start:stop]
    for i in range(len(y)):
        total = a[i] + b[i]
        y[i] = np.float32(0) if total < 0 else total  # NaN stays


@jit.callback
def differentiate_relu(call):
    """Compute the gradient of ReLU. Arrays: its result ``y``, ``gy`` and ``gx``, of one size.

    As in Chainer, what ReLU holds back is multiplied by 0, so NaN comes through.
    """
    arrays, _ = _unpack(call)
    y, gy, gx = _vector(arrays[0]), _vector(arrays[1]), _vector(arrays[2])
    _, start, stop = _share(len(y))
    y, gy, gx = y[start:stop], gy[start:stop], gx[start:stop]
    for i in range(len(y)):
        gx[i] = gy[i] * (np.float32(1) if y[i] > 0 else np.float32(0))


@jit.callback
def prelu(call):
    """Compute PReLU. Arrays: ``x`` and ``y``, (B H W C,); the slopes, (C,)."""
    arrays, _ = _unpack(call)
    x, y, slope = _vector(arrays[0]), _vector(arrays[1]), _vector(arrays[2])
    c = len(slope)
    _, start, stop = _share(len(x) // c)
    n = _row_length(c)
    slopes = _tiled(slope, c, n)
    for begin in range(start * c, stop * c, n):
        end = min(begin + n, stop * c)
        source, target = x[begin:end], y[begin:end]
        for i in range(len(source)):
            target[i] = source[i] if source[i] >= 0 else source[i] * slopes[i]


@jit.callback
def differentiate_prelu(call):
    """Compute the gradients of PReLU.

    Arrays: ``x``, ``gy`` and ``gx``, (B H W C,); the slopes, (C,); the gradient of the slopes,
    (threads, 1, C), to be added to.
    """
    arrays, _ = _unpack(call)
    x, gy, gx = _vector(arrays[0]), _vector(arrays[1]), _vector(arrays[2])
    slope, found = _vector(arrays[3]), _cube(arrays[4])
    c = len(slope)
    number, start, stop = _share(len(x) // c)
    n = _row_length(c)
    slopes = _tiled(slope, c, n)
    sums, some = np.zeros(n, np.float64), np.empty(n, np.float32)
    for first in range(start * c, stop * c, _ROWS * n):
        some[:] = 0
        for begin in range(first, min(first + _ROWS * n, stop * c), n):
            end = min(begin + n, stop * c)
            row, g, target = x[begin:end], gy[begin:end], gx[begin:end]
            for i in range(len(row)):
                target[i] = g[i] if row[i] >= 0 else g[i] * slopes[i]
                some[i] += np.float32(0) if row[i] >= 0 else g[i] * row[i]
        for i in range(n):
            sums[i] += some[i]
    for i in range(n):
        found[number, 0, i % c] += sums[i]


@jit.callback
def look_for_nonfinite(call):
    """Find out whether all numbers are finite. Arrays: ``x``; 1 for each thread that finds another.

    The difference of a finite number and itself is 0, of NaN and infinity it is NaN.
    """
    arrays, _ = _unpack(call)
    x, found = _vector(arrays[0]), _vector(arrays[1])
    number, start, stop = _share(len(x))
    x = x[start:stop]
    count = 0
    for i in range(len(x)):
        count += x[i] - x[i] != 0
    if count:
        found[number] = 1


# Compiled now, where whoever imports this module is ready for a failure, like the callbacks.
join_moments(np.ones((1, 3, 1), np.float32), *np.empty((2, 1), np.float32))
