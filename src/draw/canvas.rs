//! A sheet of terminal cells: lines know their neighbours, so that corners and crossings come by themselves.

use super::metrics::cells;

pub(super) const NORTH: u8 = 1;
pub(super) const EAST: u8 = 2;
pub(super) const SOUTH: u8 = 4;
pub(super) const WEST: u8 = 8;

/// The sign for each set of directions.
const SIGNS: [&str; 16] = [
    " ", "│", "─", "╰", "│", "│", "╭", "├", "─", "╯", "─", "┴", "╮", "┤", "┬", "┼",
];

#[derive(Clone)]
enum Cell {
    Line(u8),
    Sign(String),
    /// The right half of a full-width letter.
    Covered,
}

/// Rows of cells that grow as they are written.
#[derive(Default)]
pub(super) struct Canvas {
    rows: Vec<Vec<Cell>>,
}

impl Canvas {
    fn cell(&mut self, x: usize, y: usize) -> &mut Cell {
        if self.rows.len() <= y {
            self.rows.resize(y + 1, Vec::new());
        }
        let row = &mut self.rows[y];
        if row.len() <= x {
            row.resize(x + 1, Cell::Line(0));
        }
        &mut row[x]
    }

    /// Adds directions to the line through a cell.
    pub(super) fn line(&mut self, x: usize, y: usize, ways: u8) {
        if let Cell::Line(old) = self.cell(x, y) {
            *old |= ways;
        }
    }

    /// A line straight down through `count` cells.
    pub(super) fn down(&mut self, x: usize, y: usize, count: usize) {
        (y..y + count).for_each(|y| self.line(x, y, NORTH | SOUTH));
    }

    /// A line between two cells of a row; its ends keep open what they had.
    pub(super) fn across(&mut self, from: usize, to: usize, y: usize) {
        let (left, right) = (from.min(to), from.max(to));
        for x in left..=right {
            let east = if x < right { EAST } else { 0 };
            let west = if x > left { WEST } else { 0 };
            self.line(x, y, east | west);
        }
    }

    /// Ends the line through a cell, above or below: only `way` stays of the two.
    pub(super) fn bend(&mut self, x: usize, y: usize, way: u8) {
        if let Cell::Line(ways) = self.cell(x, y) {
            *ways = (*ways & (EAST | WEST)) | way;
        }
    }

    /// Writes text from a cell on; marks without width join the letter before.
    pub(super) fn write(&mut self, x: usize, y: usize, text: &str) {
        let mut at = x;
        for c in text.chars() {
            let mut buffer = [0; 4];
            let letter: &str = c.encode_utf8(&mut buffer);
            match cells(letter) {
                0 if at > x => {
                    let mut before = at - 1;
                    while before > x && matches!(self.cell(before, y), Cell::Covered) {
                        before -= 1;
                    }
                    if let Cell::Sign(sign) = self.cell(before, y) {
                        sign.push(c);
                    }
                }
                0 => {}
                wide => {
                    *self.cell(at, y) = Cell::Sign(letter.to_string());
                    for more in 1..wide {
                        *self.cell(at + more, y) = Cell::Covered;
                    }
                    at += wide;
                }
            }
        }
    }

    /// The rows as text, without blanks at their ends.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for cell in row {
                match cell {
                    Cell::Line(ways) => line.push_str(SIGNS[*ways as usize & 15]),
                    Cell::Sign(sign) => line.push_str(sign),
                    Cell::Covered => {}
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}
