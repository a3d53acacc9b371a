//! Scalar functions.
pub trait Math: Copy {
    fn exp(self) -> Self; fn ln(self) -> Self; fn tanh(self) -> Self; fn sigmoid(self) -> Self;
    fn sqrt(self) -> Self; fn pow(self, p: Self) -> Self; fn sin(self)->Self; fn cos(self)->Self;
}
macro_rules! m { ($($t:ident)*) => {$(impl Math for $t {
    fn exp(self) -> Self { $t::exp(self) } fn ln(self) -> Self { $t::ln(self) } fn tanh(self) -> Self { $t::tanh(self) }
    fn sigmoid(self) -> Self { 1.0/(1.0+$t::exp(-self)) } fn sqrt(self) -> Self { $t::sqrt(self) } fn pow(self, p: Self) -> Self { $t::powf(self,p) }
    fn sin(self)->Self{$t::sin(self)} fn cos(self)->Self{$t::cos(self)}
})*} }
m!(f32 f64);
