// Sine, cosine, tangent and the angles that they have; in front of every shader, behind prelude.wgsl.

// A word of the binary fraction of 2/pi.
fn two_over_pi_(i: u32) -> u32 {
    switch i {
        case 0u: { return 0xa2f9836eu; }
        case 1u: { return 0x4e441529u; }
        case 2u: { return 0xfc2757d1u; }
        case 3u: { return 0xf534ddc0u; }
        case 4u: { return 0xdb629599u; }
        case 5u: { return 0x3c439041u; }
        case 6u: { return 0xfe5163abu; }
        default: { return 0xdebbc561u; }
    }
}

// |x| less the nearest multiple of pi/2, and which multiple (mod 4): exact to the last bit kept,
// for every finite x, because the product with 2/pi is formed in integers. `near + rest` is the
// angle to 31 bits, `r` their sum as a float.
struct Turn { r: f32, near: f32, rest: f32, quadrant: u32 }
fn turn_(x: f32) -> Turn {
    let b = bitcast<u32>(x) & 0x7fffffffu;
    let e = i32(b >> 23u) - 127;
    if e < -1 { return Turn(bitcast<f32>(b), bitcast<f32>(b), 0.0, 0u); }
    let m = (b & 0x007fffffu) | 0x00800000u;
    // Bits of 2/pi above `off` only add multiples of four quarter turns.
    let off = u32(max(e - 25, 0));
    let w = off / 32u;
    let s = off % 32u;
    var t = array<u32, 3>();
    for (var i = 0u; i < 3u; i++) {
        let high = two_over_pi_(w + i);
        let low = two_over_pi_(w + i + 1u);
        t[i] = select((high << s) | (low >> ((32u - s) & 31u)), high, s == 0u);
    }
    let p0 = mul_wide_(m, t[2]);
    let p1 = mul_wide_(m, t[1]);
    let p2 = mul_wide_(m, t[0]);
    let low = p1.x + p0.y;
    let mid_a = p2.x + p1.y;
    let mid = mid_a + select(0u, 1u, low < p1.x);
    let top = p2.y + select(0u, 1u, mid_a < p2.x) + select(0u, 1u, mid < mid_a);
    // top . mid low times 2^shift
    let shift = e - 23 - i32(off);
    var whole = top; var high = mid; var tail = low;
    if shift > 0 {
        let n = u32(shift);
        whole = (top << n) | (mid >> (32u - n));
        high = (mid << n) | (low >> (32u - n));
        tail = (low << n) | (p0.x >> (32u - n));
    } else if shift < 0 {
        let n = u32(-shift);
        whole = top >> n;
        high = (top << (32u - n)) | (mid >> n);
        tail = (mid << (32u - n)) | (low >> n);
    }
    var quadrant = whole & 3u;
    let above = high >= 0x80000000u;
    if above {
        quadrant = (quadrant + 1u) & 3u;
        tail = ~tail + 1u;
        high = ~high + select(0u, 1u, tail == 0u);
    }
    if high == 0u && tail == 0u { return Turn(0.0, 0.0, 0.0, quadrant); }
    let z = select(countLeadingZeros(high), 32u + countLeadingZeros(tail), high == 0u);
    var lead = tail << (z & 31u);
    if z == 0u {
        lead = high;
    } else if z < 32u {
        lead = (high << z) | (tail >> (32u - z));
    }
    // Times pi/2, as 0xc90fdaa2 / 2^31: the upper 24 bits and the lower 8 are floats without rounding.
    let product = mul_wide_(lead, 0xc90fdaa2u).y;
    let r = scale_(f32(product), -31 - i32(z));
    let near = scale_(f32(product & 0xffffff00u), -31 - i32(z));
    let rest = scale_(f32(product & 0xffu), -31 - i32(z));
    return Turn(select(r, -r, above), select(near, -near, above), select(rest, -rest, above), quadrant);
}

fn sin_poly_(r: f32) -> f32 {
    let z = r * r;
    return ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1) * z * r + r;
}
fn cos_poly_(r: f32) -> f32 {
    let z = r * r;
    return (((2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2) * z * z - 0.5 * z) + 1.0;
}

// Sine: 4 ulp for every finite x.
fn sin_(x: f32) -> f32 {
    if (bitcast<u32>(x) & 0x7fffffffu) >= 0x7f800000u { return nan_(); }
    let t = turn_(x);
    let v = select(sin_poly_(t.r), cos_poly_(t.r), (t.quadrant & 1u) == 1u);
    return select(v, -v, (t.quadrant >= 2u) != (bitcast<u32>(x) >= 0x80000000u));
}

// Cosine: 4 ulp for every finite x.
fn cos_(x: f32) -> f32 {
    if (bitcast<u32>(x) & 0x7fffffffu) >= 0x7f800000u { return nan_(); }
    let t = turn_(x);
    let v = select(cos_poly_(t.r), sin_poly_(t.r), (t.quadrant & 1u) == 1u);
    return select(v, -v, t.quadrant == 1u || t.quadrant == 2u);
}

// Tangent: 4 ulp for every finite x. One polynomial and the angle's rest leave the quotient its
// 2.5 ulp; a quotient of sine and cosine would add the errors of both.
fn tan_(x: f32) -> f32 {
    if (bitcast<u32>(x) & 0x7fffffffu) >= 0x7f800000u { return nan_(); }
    let t = turn_(x);
    let z = t.near * t.near;
    var p = 9.38764494e-3;
    p = p * z + 3.11618787e-3;
    p = p * z + 2.44324263e-2;
    p = p * z + 5.34106493e-2;
    p = p * z + 1.33388072e-1;
    p = p * z + 3.33331555e-1;
    let tail = p * z * t.near;
    let slope = 1.0 + (t.near + tail) * (t.near + tail);
    let tangent = t.near + (tail + t.rest * slope);
    let v = select(tangent, -1.0 / tangent, (t.quadrant & 1u) == 1u);
    return select(v, -v, bitcast<u32>(x) >= 0x80000000u);
}

// asin(x) for |x| <= 1/2.
fn asin_poly_(x: f32) -> f32 {
    let z = x * x;
    var p = 3.8085025e-2;
    p = p * z + 2.6554542e-2;
    p = p * z + 4.500138e-2;
    p = p * z + 7.498855e-2;
    p = p * z + 1.6666673e-1;
    return p * z * x + x;
}

// The angle whose sine is x: 4 ulp.
fn asin_(x: f32) -> f32 {
    let a = abs(x);
    if is_nan_(x) || a > 1.0 { return nan_(); }
    if a <= 0.5 { return asin_poly_(x); }
    let v = (0.785398163 - 2.0 * asin_poly_(sqrt(0.5 - 0.5 * a))) + 0.785398163;
    return select(v, -v, x < 0.0);
}

// The angle whose cosine is x: 4 ulp.
fn acos_(x: f32) -> f32 {
    let a = abs(x);
    if is_nan_(x) || a > 1.0 { return nan_(); }
    if a <= 0.5 { return (0.785398163 - (asin_poly_(x) + 4.37113883e-8)) + 0.785398163; }
    let v = 2.0 * asin_poly_(sqrt(0.5 - 0.5 * a));
    return select(v, 3.14159265 - (v + 8.74227766e-8), x < 0.0);
}

// The angle whose tangent is y / x for 0 <= y and 0 <= x, not both 0 or both infinite: 4 ulp.
fn angle_(y: f32, x: f32) -> f32 {
    let r = y / x;
    var base = 0.0;
    var t = r;
    // Beyond the tangents of 3 pi / 8 and pi / 8.
    if r > 2.41421356 {
        base = 1.57079633;
        t = -(x / y);
    } else if r > 0.414213562 {
        base = 0.785398163;
        t = (r - 1.0) / (r + 1.0);
    }
    let z = t * t;
    var p = -6.451928e-2;
    p = p * z + 1.0743731e-1;
    p = p * z + -1.4263956e-1;
    p = p * z + 1.999954e-1;
    p = p * z + -3.333333e-1;
    return base + (p * z * t + t);
}

// The angle whose tangent is x: 4 ulp.
fn atan_(x: f32) -> f32 {
    if is_nan_(x) { return x; }
    let v = angle_(abs(x), 1.0);
    return select(v, -v, x < 0.0);
}

// The angle of the point (x, y), with the limit rules of IEEE 754: 4 ulp.
fn atan2_(y: f32, x: f32) -> f32 {
    if is_nan_(x) || is_nan_(y) { return nan_(); }
    let a = abs(x);
    let b = abs(y);
    let back = bitcast<u32>(x) >= 0x80000000u;
    var v = 0.0;
    if b == 0.0 {
        v = 0.0;
    } else if bitcast<u32>(a) == 0x7f800000u {
        v = select(0.0, 0.785398163, bitcast<u32>(b) == 0x7f800000u);
    } else if b > a {
        v = 1.57079633 - (angle_(a / b, 1.0) + 4.37113883e-8);
    } else {
        v = angle_(b / a, 1.0);
    }
    v = select(v, 3.14159265 - (v + 8.74227766e-8), back);
    return select(v, -v, bitcast<u32>(y) >= 0x80000000u);
}
