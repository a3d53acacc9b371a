//! Inverse functions of angles and the hyperbolic pair: the same formulas for both types, over each
//! type's own tails (`(f(x) - x) / x^3` as a function of `x^2`).

macro_rules! arcs {
    ($t:ident) => {
        #[inline(always)]
        fn asin(self) -> $t {
            let a = self.abs();
            let outer = a > 0.5;
            // The angle's half from the half of what is left of 1, which is exact.
            let root = (0.5 - 0.5 * a).sqrt();
            let x = if outer { root } else { a };
            let z = x * x;
            let y = x + x * z * asin_tail(z);
            let y = if outer {
                QUARTER_PI - (2.0 * y - QUARTER_PI)
            } else {
                y
            };
            y.copysign(self)
        }

        #[inline(always)]
        fn acos(self) -> $t {
            let a = self.abs();
            let outer = a > 0.5;
            let root = (0.5 - 0.5 * a).sqrt();
            let x = if outer { root } else { self };
            let z = x * x;
            let y = x + x * z * asin_tail(z);
            let twice = y + y;
            let far = if self < 0.0 {
                (PI_LOW - twice) + PI_HIGH
            } else {
                twice
            };
            if outer {
                far
            } else {
                (0.5 * PI_LOW - y) + 0.5 * PI_HIGH
            }
        }

        #[inline(always)]
        fn atan(self) -> $t {
            let a = self.abs();
            let up = a > 1.0;
            let (top, bottom) = if up { (1.0, a) } else { (a, 1.0) };
            arc(top / bottom, up, false).copysign(self)
        }

        #[inline(always)]
        fn atan2(self, x: $t) -> $t {
            let (a, b) = (self.abs(), x.abs());
            let up = a > b;
            let (top, bottom) = if up { (b, a) } else { (a, b) };
            let ratio = top / bottom;
            // Two zeros lie on the axis, two infinities in the middle.
            let ratio = if bottom == 0.0 { 0.0 } else { ratio };
            let ratio = if top == $t::INFINITY { 1.0 } else { ratio };
            let y = arc(ratio, up, x.is_sign_negative()).copysign(self);
            if (self != self) | (x != x) {
                $t::NAN
            } else {
                y
            }
        }

        #[inline(always)]
        fn sinh(self) -> $t {
            let a = self.abs();
            let z = a * a;
            let near = a + a * z * sinh_tail(z);
            let e = half_exp(a);
            let far = e - 0.25 / e;
            (if a < 1.0 { near } else { far }).copysign(self)
        }

        #[inline(always)]
        fn cosh(self) -> $t {
            let e = half_exp(self.abs());
            e + 0.25 / e
        }
    };
}
pub(super) use arcs;

/// The angle whose tangent is `ratio`, at most 1, or what is left of it to a right angle (`up`) and
/// then to a straight one (`back`).
macro_rules! arc {
    ($t:ident) => {
        #[allow(clippy::excessive_precision, reason = "one text for both types")]
        #[inline(always)]
        fn arc(ratio: $t, up: bool, back: bool) -> $t {
            // Beyond the tangent of pi/8, the angle from pi/4.
            let outer = ratio > 0.414_213_562_373_095_05;
            let t = if outer {
                (ratio - 1.0) / (ratio + 1.0)
            } else {
                ratio
            };
            let z = t * t;
            let y = t + t * z * atan_tail(z);
            let y = if outer { QUARTER_PI + y } else { y };
            let y = if up {
                (0.5 * PI_LOW - y) + 0.5 * PI_HIGH
            } else {
                y
            };
            if back { (PI_LOW - y) + PI_HIGH } else { y }
        }
    };
}
pub(super) use arc;
