//! How wide text is: in pixels for SVG, from the widths that Helvetica, Arial and Liberation Sans share,
//! and in cells for a terminal.

/// Widths of the characters from U+0020 to U+007E in thousandths of the size of the letters.
#[rustfmt::skip]
const REGULAR: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278,
    556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556,
    1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,
    667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556,
    333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,
    556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];
#[rustfmt::skip]
const BOLD: [u16; 95] = [
    278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278,
    556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 333, 333, 584, 584, 584, 611,
    975, 722, 722, 722, 722, 667, 611, 778, 722, 278, 556, 722, 611, 833, 722, 778,
    667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 333, 278, 333, 584, 556,
    333, 556, 611, 556, 611, 556, 333, 611, 611, 278, 278, 556, 278, 889, 611, 611,
    611, 611, 389, 556, 333, 611, 556, 778, 556, 556, 500, 389, 280, 389, 584,
];

/// The width of a line of SVG text with letters of a size.
pub(super) fn pixels(text: &str, size: f64, bold: bool) -> f64 {
    let table = if bold { &BOLD } else { &REGULAR };
    let thousandths = |c: char| match (c as u32)
        .checked_sub(0x20)
        .and_then(|i| table.get(i as usize))
    {
        Some(&width) => u32::from(width),
        // Other scripts: wide enough for most capitals.
        None => [0, 700, 1040][cells_of(c)],
    };
    f64::from(text.chars().map(thousandths).sum::<u32>()) * size / 1000.0
}

/// The cells that a text takes in a terminal.
pub(super) fn cells(text: &str) -> usize {
    text.chars().map(cells_of).sum()
}

/// 0 for marks that sit on the letter before, 2 for full-width letters and most pictographs.
fn cells_of(c: char) -> usize {
    match c as u32 {
        0x300..=0x36f | 0x483..=0x489 | 0x591..=0x5bd | 0x610..=0x61a | 0x64b..=0x65f => 0,
        0x93a | 0x93c | 0x941..=0x948 | 0x94d | 0xe31 | 0xe34..=0xe3a | 0xe47..=0xe4e => 0,
        0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x2064 => {
            0
        }
        0x20d0..=0x20ff | 0xfe00..=0xfe0f | 0xfe20..=0xfe2f | 0xfeff | 0xe0100..=0xe01ef => 0,
        0x1100..=0x115f | 0x2e80..=0x303e | 0x3041..=0x4dbf | 0x4e00..=0x9fff | 0xa000..=0xa4cf => {
            2
        }
        0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff00..=0xff60 | 0xffe0..=0xffe6 => {
            2
        }
        0x1f300..=0x1f64f | 0x1f680..=0x1f6ff | 0x1f900..=0x1f9ff | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// A line without control characters, shortened in the middle while `wide` says it is too wide.
pub(super) fn shortened(line: &str, wide: impl Fn(&str) -> bool) -> String {
    let clean: Vec<char> = line
        .chars()
        .map(|c| if unfit(c) { ' ' } else { c })
        .collect();
    let text: String = clean.iter().collect();
    if !wide(&text) {
        return text;
    }
    // The longest shortening that fits, by halving: widths grow with the number of letters.
    let cut = |keep: usize| -> String {
        let head = keep - keep / 3;
        let tail = &clean[clean.len() - keep / 3..];
        clean[..head]
            .iter()
            .chain(&['\u{2026}'])
            .chain(tail)
            .collect()
    };
    let (mut low, mut high) = (0, clean.len());
    while low + 1 < high {
        let keep = (low + high) / 2;
        *(if wide(&cut(keep)) {
            &mut high
        } else {
            &mut low
        }) = keep;
    }
    cut(low)
}

/// Characters that XML refuses or that would move the cursor or turn the text round.
pub(super) fn unfit(c: char) -> bool {
    c.is_control()
        || matches!(c as u32, 0x202a..=0x202e | 0x2066..=0x2069 | 0xfffe | 0xffff | 0x2028 | 0x2029)
}
