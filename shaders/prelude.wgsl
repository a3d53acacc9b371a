// What every shader gets in front: the geometry it is called with, and functions with stated error
// bounds (the built-in exp, log, tanh, pow have none). Bounds are in units in the last place (ulp).
// Those of angles follow in angles.wgsl.
//
// Optimisers may fold (a + b) - a, so no function here relies on such sums being rounded.

struct Walk {
    count: u32,                    // elements, or rows
    invocations: u32,
    rank: u32,                     // dimensions in `sizes`, innermost first
    tag: u32,                      // which op to name when an index is bad
    params: vec4<u32>,             // bits of the op's numbers
    offsets: vec4<u32>,            // first element of a, b, c, y
    steps: vec4<u32>,              // stride along the worked dimension of a, b, c, y
    extra: vec4<u32>,              // sizes that belong to the kernel
    sizes: array<vec4<u32>, 2>,
    strides: array<vec4<u32>, 8>,  // of a, b, c, y, a row for each dimension
}
@group(1) @binding(0) var<uniform> at: Walk;

// The number of this invocation in a grid whose x may have been folded into y.
fn flat(id: vec3<u32>, groups: vec3<u32>) -> u32 {
    return id.x + id.y * groups.x * WG;
}

// Where element `i` is in a, b, c and y.
fn walk(i: u32) -> vec4<u32> {
    if FLAT {
        return at.offsets + i * 4u * at.steps;
    }
    var rest = i;
    var here = at.offsets;
    for (var d = 0u; d + 1u < at.rank; d++) {
        let size = at.sizes[d / 4u][d % 4u];
        let next = rest / size;
        here += (rest - next * size) * at.strides[d];
        rest = next;
    }
    if at.rank > 0u {
        here += rest * at.strides[at.rank - 1u];
    }
    return here;
}

fn is_nan_(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }
// Constants that WGSL has no literal for; the bits go through a variable, or they would be rejected.
fn nan_() -> f32 { var b = 0x7fc00000u; return bitcast<f32>(b); }
fn inf_() -> f32 { var b = 0x7f800000u; return bitcast<f32>(b); }

// NaN wins, as on the CPU; the built-in max and min lose it.
fn max_(a: f32, b: f32) -> f32 { return select(select(b, a, a > b), select(b, a, is_nan_(a)), is_nan_(a) || is_nan_(b)); }
fn min_(a: f32, b: f32) -> f32 { return select(select(b, a, a < b), select(b, a, is_nan_(a)), is_nan_(a) || is_nan_(b)); }
fn clamp_(x: f32, low: f32, high: f32) -> f32 {
    return select(select(select(x, high, x > high), low, x < low), x, is_nan_(x));
}
// `a != b` that is true for NaN.
fn ne_(a: f32, b: f32) -> bool { return is_nan_(a) || is_nan_(b) || !(a == b); }
fn sign_(x: f32) -> f32 { return select(select(select(0.0, -1.0, x < 0.0), 1.0, x > 0.0), 0.0, is_nan_(x)); }

// The remainder with the divisor's sign; of integers it is 0 for a divisor of 0.
fn modulo_(a: f32, b: f32) -> f32 { return a - b * floor(a / b); }
fn modulo_int_(a: i32, b: i32) -> i32 {
    if b == 0 { return 0; }
    let r = a % b;
    return select(r, r + b, r != 0 && (r < 0) != (b < 0));
}

// The nearest whole number, halves away from zero.
fn round_(x: f32) -> f32 {
    let t = trunc(x);
    return t + select(0.0, sign_(x), abs(x - t) >= 0.5);
}

// The remainder with the dividend's sign, exact as in C: mantissas are divided bit by bit.
fn fmod_(a: f32, b: f32) -> f32 {
    let x = bitcast<u32>(a) & 0x7fffffffu;
    let y = bitcast<u32>(b) & 0x7fffffffu;
    if x >= 0x7f800000u || y > 0x7f800000u || y == 0u { return nan_(); }
    if x < y { return a; }
    // Leading bits of both go to the same place, those of subnormals too: then one step leaves m < n.
    var m = (x & 0x007fffffu) | select(0u, 0x00800000u, x >= 0x00800000u);
    var n = (y & 0x007fffffu) | select(0u, 0x00800000u, y >= 0x00800000u);
    let up_m = countLeadingZeros(m) - 8u;
    let up_n = countLeadingZeros(n) - 8u;
    m = m << up_m;
    n = n << up_n;
    let low = i32(max(y >> 23u, 1u)) - i32(up_n);
    for (var e = i32(max(x >> 23u, 1u)) - i32(up_m); e > low; e--) {
        m = select(m, m - n, m >= n) << 1u;
    }
    m = select(m, m - n, m >= n);
    let sign = bitcast<u32>(a) & 0x80000000u;
    if m == 0u { return bitcast<f32>(sign); }
    // Back to where the leading bit belongs; what does not reach there is subnormal.
    let floor_e = max(low, 1);
    m = m >> u32(floor_e - low);
    let up = min(countLeadingZeros(m) - 8u, u32(floor_e - 1));
    m = m << up;
    let bits = select(m, (m & 0x007fffffu) | ((u32(floor_e) - up) << 23u), m >= 0x00800000u);
    return bitcast<f32>(bits | sign);
}
fn fmod_int_(a: i32, b: i32) -> i32 {
    if b == 0 { return 0; }
    return a % b;
}

// Shifts by the width or more leave nothing, or the sign.
fn left_(x: i32, by: i32) -> i32 { return select(0, x << (u32(by) & 31u), by >= 0 && by < 32); }
fn right_(x: i32, by: i32) -> i32 { return x >> select(31u, u32(by), by >= 0 && by < 32); }

// x * 2^n for n in -280..280, in two steps so that neither factor overflows.
fn scale_(x: f32, n: i32) -> f32 {
    let half = n / 2;
    return x * bitcast<f32>(u32(half + 127) << 23u) * bitcast<f32>(u32(n - half + 127) << 23u);
}

// (e^r - 1 - r) / r^2 for |r| <= ln(2)/2.
fn exp_tail_(r: f32) -> f32 {
    var p = 1.9875691500e-4;
    p = p * r + 1.3981999507e-3;
    p = p * r + 8.3334519073e-3;
    p = p * r + 4.1665795894e-2;
    p = p * r + 1.6666665459e-1;
    return p * r + 5.0000001201e-1;
}

// e^x: 2 ulp.
fn exp_(x: f32) -> f32 {
    if is_nan_(x) { return x; }
    if x > 88.72284 { return inf_(); }
    if x < -103.98 { return 0.0; }
    let n = round(x * 1.44269504);
    let r = (x - n * 0.693359375) + n * 2.12194440e-4;
    return scale_((exp_tail_(r) * r * r + r) + 1.0, i32(n));
}

// e^x - 1: 4 ulp.
fn expm1_(x: f32) -> f32 {
    if is_nan_(x) || x == 0.0 { return x; }
    if x > 60.0 { return exp_(x); }
    if x < -18.0 { return -1.0; }
    if abs(x) < 0.34 { return exp_tail_(x) * x * x + x; }
    let n = round(x * 1.44269504);
    let r = (x - n * 0.693359375) + n * 2.12194440e-4;
    let two = scale_(1.0, i32(n));
    return two * (exp_tail_(r) * r * r + r) + (two - 1.0);
}

// log(1 + f) - f + f^2/2 for 1 + f in sqrt(1/2)..sqrt(2).
fn log_tail_(f: f32) -> f32 {
    var p = 7.0376836292e-2;
    p = p * f - 1.1514610310e-1;
    p = p * f + 1.1676998740e-1;
    p = p * f - 1.2420140846e-1;
    p = p * f + 1.4249322787e-1;
    p = p * f - 1.6668057665e-1;
    p = p * f + 2.0000714765e-1;
    p = p * f - 2.4999993993e-1;
    p = p * f + 3.3333331174e-1;
    return p * f * f * f;
}

// A positive finite x as m * 2^e with m in sqrt(1/2)..sqrt(2), by its bits: subnormals count.
struct Split { m: f32, e: f32 }
fn split_(x: f32) -> Split {
    var b = bitcast<u32>(x);
    var e = 0;
    if b < 0x00800000u {
        let up = countLeadingZeros(b) - 8u;
        b = b << up;
        e = 1 - i32(up);
        b = b & 0x007fffffu;
    } else {
        e = i32(b >> 23u);
        b = b & 0x007fffffu;
    }
    // 0x3504f3 is the fraction of sqrt(2): above it the half is nearer to one.
    if b > 0x003504f3u {
        return Split(bitcast<f32>(b | 0x3f000000u), f32(e - 126));
    }
    return Split(bitcast<f32>(b | 0x3f800000u), f32(e - 127));
}

// Natural logarithm: 2 ulp.
fn log_(x: f32) -> f32 {
    let b = bitcast<u32>(x);
    if is_nan_(x) || b == 0x7f800000u { return x; }
    if (b & 0x7fffffffu) == 0u { return -inf_(); }
    if b > 0x80000000u { return nan_(); }
    let s = split_(x);
    let f = s.m - 1.0;
    let low = (log_tail_(f) - s.e * 2.12194440e-4) - 0.5 * f * f;
    return (f + low) + s.e * 0.693359375;
}

// log(1 + x): 4 ulp.
fn log1p_(x: f32) -> f32 {
    if x > -0.29 && x < 0.41 { return x + (log_tail_(x) - 0.5 * x * x); }
    return log_(1.0 + x);
}

// Hyperbolic tangent: 3 ulp.
fn tanh_(x: f32) -> f32 {
    if is_nan_(x) { return x; }
    let a = abs(x);
    if a < 0.625 {
        let z = x * x;
        var p = -5.70498872745e-3;
        p = p * z + 2.06390887954e-2;
        p = p * z - 5.37397155531e-2;
        p = p * z + 1.33314422036e-1;
        p = p * z - 3.33332819422e-1;
        return p * z * x + x;
    }
    let t = select(1.0 - 2.0 / (exp_(2.0 * a) + 1.0), 1.0, a > 9.1);
    return select(t, -t, x < 0.0);
}

// 1 / (1 + e^-x): 4 ulp.
fn sigmoid_(x: f32) -> f32 {
    if is_nan_(x) { return x; }
    let t = exp_(-abs(x));
    return select(t, 1.0, x >= 0.0) / (1.0 + t);
}

// log(1 + e^x): 4 ulp.
fn softplus_(x: f32) -> f32 {
    if is_nan_(x) { return x; }
    return max(x, 0.0) + log1p_(exp_(-abs(x)));
}

// Square root as the adapter rounds it: 3 ulp, exact on most.
fn sqrt_(x: f32) -> f32 { return sqrt(x); }

// Error function: 3 ulp.
fn erf_(x: f32) -> f32 {
    if is_nan_(x) { return x; }
    let a = abs(x);
    if a < 1.0 {
        let z = x * x;
        var p = 7.853998187e-5;
        p = p * z - 8.010239073e-4;
        p = p * z + 5.188333498e-3;
        p = p * z - 2.685381551e-2;
        p = p * z + 1.128358526e-1;
        p = p * z - 3.761262584e-1;
        return (p * z + 1.28379166e-1) * x + x;
    }
    if a > 3.95 { return select(1.0, -1.0, x < 0.0); }
    // log(1 - erf(a))
    var p = 1.863806259e-4;
    p = p * a - 2.947672314e-3;
    p = p * a + 2.183811987e-2;
    p = p * a - 1.03106871e-1;
    p = p * a - 6.38144699e-1;
    p = p * a - 1.127089271;
    p = p * a - 3.415031817e-4;
    let y = 1.0 - exp_(p);
    return select(y, -y, x < 0.0);
}

// The product of two words: low, high.
fn mul_wide_(a: u32, b: u32) -> vec2<u32> {
    let al = a & 0xffffu; let ah = a >> 16u;
    let bl = b & 0xffffu; let bh = b >> 16u;
    let low = al * bl;
    let mid = ah * bl + (low >> 16u);
    let mix = al * bh + (mid & 0xffffu);
    return vec2<u32>((low & 0xffffu) | (mix << 16u), ah * bh + (mid >> 16u) + (mix >> 16u));
}

// Half of e^x for x >= 0, which is no overflow where the hyperbolic functions are none.
fn half_exp_(x: f32) -> f32 {
    let n = round(x * 1.44269504);
    let r = (x - n * 0.693359375) + n * 2.12194440e-4;
    return scale_((exp_tail_(r) * r * r + r) + 1.0, i32(n) - 1);
}

// Hyperbolic sine: 4 ulp.
fn sinh_(x: f32) -> f32 {
    if is_nan_(x) { return x; }
    let a = abs(x);
    if a < 1.0 {
        let z = x * x;
        var p = 2.8062802e-6;
        p = p * z + 1.9838102e-4;
        p = p * z + 8.333339e-3;
        p = p * z + 1.6666667e-1;
        return p * z * x + x;
    }
    let e = half_exp_(min(a, 90.0));
    let v = select(e - 0.25 / e, inf_(), a > 89.5);
    return select(v, -v, x < 0.0);
}

// Hyperbolic cosine: 4 ulp.
fn cosh_(x: f32) -> f32 {
    if is_nan_(x) { return x; }
    let a = abs(x);
    let e = half_exp_(min(a, 90.0));
    return select(e + 0.25 / e, inf_(), a > 89.5);
}

// The upper 12 bits of x: products of two such numbers are exact.
fn upper_(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) & 0xfffff000u); }

// x^y for 0 < x < inf and finite y: the logarithm is carried in two parts.
fn pow_positive_(x: f32, y: f32) -> f32 {
    let p = split_(x);
    let f = p.m - 1.0;
    let d = 2.0 + f;
    let s = f / d;
    // The part of s that adds to e * log(2) without rounding.
    let s_high = select(round(s * 16384.0) / 16384.0, upper_(s), p.e == 0.0);
    let f_high = upper_(f);
    let s_low = (((f - 2.0 * s_high) - s_high * f_high) - s_high * (f - f_high)) / d;
    // s^3 from its exact part, for its error is multiplied by y.
    let z_high = s_high * s_high;
    let z = z_high + 2.0 * s_high * s_low;
    let cube = s_high * z_high + 3.0 * s_low * (z_high + s_high * s_low);
    var q = 0.2358252598;
    q = q * z + 0.2853728994;
    q = q * z + 0.4000033547;
    q = q * z + 0.6666666564;
    let high = p.e * 0.693359375 + 2.0 * s_high;
    let low = (2.0 * s_low + q * cube) - p.e * 2.12194440e-4;
    let y_high = upper_(y);
    let h_high = upper_(high);
    let main = y_high * h_high;
    let rest = y_high * (high - h_high) + ((y - y_high) * high + y * low);
    let sum = main + rest;
    if sum > 89.0 { return inf_(); }
    if sum < -104.5 { return 0.0; }
    let n = round(sum * 1.44269504);
    // main - n * 0.693359375 in units of 2^-24: optimisers put `sum` into the same difference of
    // floats, which costs 6 bits.
    let left = i32(main * 16777216.0) - i32(n) * 11632640;
    let r = f32(left) * 5.96046448e-8 + (rest + n * 2.12194440e-4);
    return scale_((exp_tail_(r) * r * r + r) + 1.0, i32(n));
}

// x^y with the sign and limit rules of IEEE 754: 4 ulp.
fn pow_(x: f32, y: f32) -> f32 {
    if y == 0.0 || x == 1.0 { return 1.0; }
    if is_nan_(x) || is_nan_(y) { return nan_(); }
    let a = abs(x);
    let size = abs(y);
    // From 2^24 on every float is an even integer.
    let whole = size >= 16777216.0 || floor(size) == size;
    let odd = whole && size < 16777216.0 && (u32(min(size, 16777216.0)) & 1u) == 1u;
    let huge = (bitcast<u32>(size)) == 0x7f800000u;
    var r = 1.0;
    if (bitcast<u32>(a)) == 0u || (bitcast<u32>(a)) == 0x7f800000u {
        r = select(0.0, inf_(), (a > 1.0) == (y > 0.0));
    } else if huge {
        r = select(select(0.0, inf_(), (a > 1.0) == (y > 0.0)), 1.0, a == 1.0);
    } else {
        r = pow_positive_(a, y);
        if x < 0.0 && !whole { r = nan_(); }
    }
    return select(r, -r, odd && bitcast<u32>(x) >= 0x80000000u);
}

// As pow_, where 0.3 takes the square root for the exponent 1/2: that is NaN at minus infinity.
fn pow_number_(x: f32, y: f32) -> f32 {
    if y == 2.0 { return x * x; }
    if y == 3.0 { return x * x * x; }
    if abs(y) == 0.5 {
        let r = select(sqrt_(x), nan_(), x < 0.0);
        return select(r, 1.0 / r, y < 0.0);
    }
    return pow_(x, y);
}

// A float as a long (low word, high word): toward zero, saturating, NaN is 0.
fn long_of_float_(x: f32) -> vec2<u32> {
    let b = bitcast<u32>(x);
    let e = i32((b >> 23u) & 255u) - 150;
    let m = (b & 0x007fffffu) | 0x00800000u;
    if is_nan_(x) || e < -23 { return vec2<u32>(0u, 0u); }
    let negative = b >= 0x80000000u;
    if e > 39 { return select(vec2<u32>(0xffffffffu, 0x7fffffffu), vec2<u32>(0u, 0x80000000u), negative); }
    var v = vec2<u32>(m, 0u);
    if e < 0 {
        v.x = m >> u32(-e);
    } else if e >= 32 {
        v = vec2<u32>(0u, m << u32(e - 32));
    } else if e > 0 {
        v = vec2<u32>(m << u32(e), m >> u32(32 - e));
    }
    return select(v, negate_long_(v), negative);
}
fn negate_long_(v: vec2<u32>) -> vec2<u32> {
    return vec2<u32>(~v.x + 1u, ~v.y + select(0u, 1u, v.x == 0u));
}
fn add_long_(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = a.x + b.x;
    return vec2<u32>(low, a.y + b.y + select(0u, 1u, low < a.x));
}
fn mul_long_(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = mul_wide_(a.x, b.x);
    return vec2<u32>(low.x, low.y + a.x * b.y + a.y * b.x);
}
fn less_long_(a: vec2<u32>, b: vec2<u32>) -> bool {
    return bitcast<i32>(a.y) < bitcast<i32>(b.y) || (a.y == b.y && a.x < b.x);
}
fn long_of_int_(x: i32) -> vec2<u32> { return vec2<u32>(bitcast<u32>(x), bitcast<u32>(x >> 31u)); }
// A long as the nearest float, ties to even.
fn float_of_long_(v: vec2<u32>) -> f32 {
    let negative = v.y >= 0x80000000u;
    let a = select(v, negate_long_(v), negative);
    if a.x == 0u && a.y == 0u { return 0.0; }
    let z = select(countLeadingZeros(a.y), 32u + countLeadingZeros(a.x), a.y == 0u);
    var top = a.y;
    var rest = a.x;
    if z >= 32u {
        top = a.x << (z - 32u);
        rest = 0u;
    } else if z > 0u {
        top = (a.y << z) | (a.x >> (32u - z));
        rest = a.x << z;
    }
    // What falls off may only break ties: keep it as one sticky bit.
    var m = top >> 8u;
    let off = (top & 255u) | select(0u, 1u, rest != 0u);
    if off > 128u || (off == 128u && (m & 1u) == 1u) { m += 1u; }
    let r = scale_(f32(m), 40 - i32(z));
    return select(r, -r, negative);
}
