//! The text form of tensors in 0.3, byte for byte (spec T-95 and section 8).
//!
//! One number format serves the whole tensor, cut parts included. Values come one by one through
//! a closure, so that any strides, element type and device print alike.

use std::fmt::Write;

/// A value to print; longs keep all their digits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// Of an integer class.
    Int(i64),
    /// Of a float class.
    Float(f64),
}

impl Number {
    fn to_f64(self) -> f64 {
        match self {
            Number::Int(i) => i as f64,
            Number::Float(f) => f,
        }
    }
}

/// What `set_printoptions` sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Digits after the point.
    pub precision: usize,
    /// From this many elements on the middle is left out.
    pub threshold: usize,
    /// How many items stay at either end then.
    pub edgeitems: usize,
    /// Characters of a line.
    pub linewidth: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            precision: 4,
            threshold: 1000,
            edgeitems: 3,
            linewidth: 80,
        }
    }
}

impl Options {
    /// The options of a profile: `default`, `short` or `full`.
    pub fn profile(name: &str) -> Option<Options> {
        let base = Options::default();
        match name {
            "default" => Some(base),
            "short" => Some(Options {
                precision: 2,
                edgeitems: 2,
                ..base
            }),
            "full" => Some(Options {
                threshold: usize::MAX,
                ..base
            }),
            _ => None,
        }
    }
}

/// How every number of one tensor is written.
struct Format {
    /// What columns are laid out for.
    width: usize,
    /// What a number is padded to.
    field: usize,
    decimals: usize,
    scientific: bool,
    /// All numbers are divided by it; 1 if there is no common factor.
    scale: f64,
}

/// The digits before the point: 1 for 0.
fn exponent(x: f64) -> i32 {
    if x == 0.0 {
        1
    } else {
        x.log10().floor() as i32 + 1
    }
}

impl Format {
    /// The format for all of `values`, at least `min_width` wide.
    fn new(values: impl Iterator<Item = f64>, min_width: usize, precision: usize) -> Format {
        let (mut least, mut most) = (f64::INFINITY, 0.0f64);
        let (mut whole, mut odd, mut any) = (true, false, false);
        for x in values.map(f64::abs) {
            if x.is_finite() {
                any = true;
                whole &= x == x.ceil();
                least = least.min(x);
                most = most.max(x);
            } else {
                odd = true;
            }
        }
        if !any {
            least = 0.0;
        }
        let min_width = min_width.max(if odd { 3 } else { 2 });
        let (low, high) = (exponent(least), exponent(most));
        let p = precision as i32;
        let wide = |width: i32| min_width.max(width.max(0) as usize);
        let plain = |width: usize, decimals: usize| Format {
            width,
            field: width,
            decimals,
            scientific: false,
            scale: 1.0,
        };
        if whole && high > p + 1 {
            Format {
                field: 11,
                scientific: true,
                ..plain(wide(p + 7), precision)
            }
        } else if whole {
            plain(wide(high + 1), 0)
        } else if high - low > p {
            let long = low.abs() > 99 || high.abs() > 99;
            Format {
                scientific: true,
                ..plain(wide(p + 7 + i32::from(long)), precision)
            }
        } else if high > p + 1 || high < 0 {
            let scale = 10f64.powf(f64::from((high - 1).max(-323)));
            Format {
                scale,
                ..plain(wide(7), precision)
            }
        } else {
            plain(wide(if high == 0 { 7 } else { high + 6 }), precision)
        }
    }

    /// A space in front of each row when a common factor stands above.
    fn lead(&self) -> &'static str {
        if self.scale == 1.0 { "" } else { " " }
    }

    fn number(&self, out: &mut String, n: Number) {
        let at = out.len();
        let _ = match n {
            Number::Int(i) if !self.scientific && self.scale == 1.0 => write!(out, "{i}"),
            _ => self.float(out, n.to_f64() / self.scale),
        };
        let pad = self.field.saturating_sub(out.len() - at);
        out.insert_str(at, &" ".repeat(pad));
    }

    fn float(&self, out: &mut String, x: f64) -> std::fmt::Result {
        if x.is_nan() {
            out.write_str("nan")
        } else if self.scientific && x.is_finite() {
            scientific(out, x, self.decimals)
        } else {
            write!(out, "{x:.*}", self.decimals)
        }
    }
}

/// `1.5000e+00`: at least two digits of a signed exponent.
fn scientific(out: &mut String, x: f64, decimals: usize) -> std::fmt::Result {
    let text = format!("{x:.decimals$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, size) = match exponent.strip_prefix('-') {
        Some(size) => ('-', size),
        None => ('+', exponent),
    };
    write!(out, "{digits}e{sign}{size:0>2}")
}

/// The places of a dimension that are shown, and whether some are left out after the first ones.
fn shown(size: i64, edge: i64, cut: bool) -> (Vec<i64>, bool) {
    if cut && size > 2 * edge {
        ((0..edge).chain(size - edge..size).collect(), true)
    } else {
        ((0..size).collect(), false)
    }
}

/// One text in the making.
struct Page<'a> {
    sizes: &'a [i64],
    at: &'a dyn Fn(&[i64]) -> Number,
    options: &'a Options,
    out: String,
}

impl Page<'_> {
    fn count(&self) -> usize {
        self.sizes
            .iter()
            .fold(1usize, |n, s| n.saturating_mul(*s as usize))
    }

    fn edge(&self) -> i64 {
        self.options.edgeitems as i64
    }

    /// Whether the last two dimensions are too long to be shown whole once anything is cut.
    fn is_long(&self) -> bool {
        let matrix = &self.sizes[self.sizes.len().saturating_sub(2)..];
        matrix.iter().any(|s| *s > 2 * self.edge())
    }

    fn format(&self, min_width: usize) -> Format {
        let mut index = vec![0; self.sizes.len()];
        let values = (0..self.count()).map(|_| {
            let value = (self.at)(&index).to_f64();
            step(&mut index, self.sizes);
            value
        });
        Format::new(values, min_width, self.options.precision)
    }

    fn scale_line(&mut self, format: &Format) {
        if format.scale != 1.0 {
            let _ = scientific(&mut self.out, format.scale, 5);
            self.out.push_str(" *\n");
        }
    }

    fn vector(&mut self) {
        let format = self.format(0);
        self.scale_line(&format);
        let cut = self.count() >= self.options.threshold;
        let (places, cut) = shown(self.sizes[0], self.edge(), cut);
        for (i, place) in places.into_iter().enumerate() {
            if cut && i as i64 == self.edge() {
                let _ = writeln!(self.out, "{}{:^2$}", format.lead(), '⋮', format.width);
            }
            self.out.push_str(format.lead());
            format.number(&mut self.out, (self.at)(&[place]));
            self.out.push('\n');
        }
    }

    /// The matrix at `index`, of which the last two places are free.
    fn matrix(&mut self, index: &mut [i64], indent: &str, format: &Format, cut: bool) {
        let [.., rows, columns] = *self.sizes else {
            return;
        };
        if !cut {
            let per_block =
                self.options.linewidth.saturating_sub(indent.len()) / (format.width + 1);
            let per_block = (per_block as i64).max(1);
            let mut first = 0;
            while first < columns {
                let last = columns.min(first + per_block);
                if per_block < columns {
                    let _ = writeln!(self.out, "\nColumns {first} to {} ", last - 1);
                }
                self.scale_line(format);
                let places: Vec<i64> = (first..last).collect();
                let indent = format!("{indent}{}", format.lead());
                for row in 0..rows {
                    self.row(index, row, &places, false, &indent, format);
                }
                first = last;
            }
            return;
        }
        self.scale_line(format);
        let edge = self.edge();
        let (places, cut_columns) = shown(columns, edge, true);
        let (lines, cut_rows) = shown(rows, edge, true);
        // Unlike those of a block, rows here are not indented behind a common factor.
        let mut row_length = 0;
        for (i, row) in lines.into_iter().enumerate() {
            if cut_rows && i as i64 == edge {
                let _ = if cut_columns {
                    let half = (places.len() * (format.width + 1) / 2).saturating_sub(1);
                    writeln!(self.out, "{indent}{0:^1$} {2:^5} {0:^1$}", "...", half, '⋱')
                } else {
                    // The numbers can be wider or narrower than the column, so the row before counts.
                    writeln!(self.out, "{:^1$}", '⋮', row_length)
                };
            }
            let start = self.out.len() + indent.len();
            self.row(index, row, &places, cut_columns, indent, format);
            row_length = self.out.len() - start;
        }
    }

    fn row(
        &mut self,
        index: &mut [i64],
        row: i64,
        columns: &[i64],
        cut: bool,
        indent: &str,
        format: &Format,
    ) {
        let n = index.len();
        index[n - 2] = row;
        self.out.push_str(indent);
        for (i, column) in columns.iter().enumerate() {
            if cut && i as i64 == self.edge() {
                self.out.push_str("  ... ");
            }
            if i > 0 {
                self.out.push(' ');
            }
            index[n - 1] = *column;
            format.number(&mut self.out, (self.at)(index));
        }
        self.out.push('\n');
    }

    /// Three dimensions and more: a matrix for each leading index.
    fn slices(&mut self) {
        let cut = self.count() >= self.options.threshold;
        let format = self.format(if self.is_long() { 3 } else { 0 });
        let leading = self.sizes.len() - 2;
        let largest = self.sizes.iter().max().copied().unwrap_or(0);
        let width = largest.to_string().len().max(2);
        let mut index = vec![0; self.sizes.len()];
        loop {
            self.out.push('(');
            for i in &index[..leading] {
                let _ = write!(self.out, "{i:^width$},");
            }
            self.out.push_str(".,.) = \n");
            self.matrix(&mut index, " ", &format, cut);
            if !self.next_slice(&mut index[..leading], cut, width + 1) {
                return;
            }
            self.out.push('\n');
        }
    }

    /// Moves on to the next leading index, with a line of marks when places are left out.
    fn next_slice(&mut self, index: &mut [i64], cut: bool, cell: usize) -> bool {
        let edge = self.edge();
        let mut skipped = vec![false; index.len()];
        let mut restarted = vec![false; index.len()];
        for d in (0..index.len()).rev() {
            index[d] += 1;
            if cut && index[d] == edge && self.sizes[d] > 2 * edge {
                index[d] = self.sizes[d] - edge;
                skipped[d] = true;
            }
            if index[d] < self.sizes[d] {
                break;
            }
            index[d] = 0;
            restarted[d] = true;
        }
        if restarted.iter().all(|r| *r) {
            return false;
        }
        if cut {
            self.marks("", "...", &skipped, cell);
            self.marks(" ", "⋮", &restarted, cell);
        }
        true
    }

    fn marks(&mut self, lead: &str, mark: &str, which: &[bool], cell: usize) {
        if !which.contains(&true) {
            return;
        }
        self.out.push_str(lead);
        for has in which {
            let _ = write!(self.out, "{:^cell$}", if *has { mark } else { "" });
        }
        self.out.push('\n');
    }
}

/// The next index in row-major order.
fn step(index: &mut [i64], sizes: &[i64]) {
    for (i, size) in index.iter_mut().zip(sizes).rev() {
        *i += 1;
        if *i < *size {
            return;
        }
        *i = 0;
    }
}

/// The text of a tensor of `class` (`torch.FloatTensor`) with `sizes`, whose elements are `at`.
pub fn text(
    sizes: &[i64],
    class: &str,
    gpu: Option<usize>,
    at: &dyn Fn(&[i64]) -> Number,
    options: &Options,
) -> String {
    if sizes.is_empty() || sizes.contains(&0) {
        return format!("[{class} with no dimension]\n");
    }
    let mut page = Page {
        sizes,
        at,
        options,
        out: String::from("\n"),
    };
    match sizes.len() {
        1 => page.vector(),
        2 => {
            let format = page.format(if page.is_long() { 5 } else { 0 });
            let cut = page.count() >= options.threshold && page.is_long();
            page.matrix(&mut [0, 0], "", &format, cut);
        }
        _ => page.slices(),
    }
    let sizes: Vec<String> = sizes.iter().map(i64::to_string).collect();
    let place = gpu.map(|n| format!(" (GPU {n})")).unwrap_or_default();
    let _ = writeln!(page.out, "[{class} of size {}{place}]", sizes.join("x"));
    page.out
}

#[cfg(test)]
#[path = "print_tests.rs"]
mod tests;
