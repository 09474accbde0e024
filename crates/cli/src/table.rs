//! Columns of text.

use crate::failure::Failure;
use crate::output::Output;

/// Rows under a head, each column as wide as its widest cell.
#[derive(Debug)]
pub(crate) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(head: [&str; N]) -> Self {
        Self { head: head.map(str::to_owned).to_vec(), rows: Vec::new() }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.head.len(), "a row has one cell for each column");
        self.rows.push(cells.into());
    }

    pub(crate) fn print(&self, output: &Output) -> Result<(), Failure> {
        let widths = self.widths();
        output.line(&output.paint().dim(line(&self.head, &widths)))?;
        self.rows.iter().try_for_each(|row| output.line(&line(row, &widths)))
    }

    fn widths(&self) -> Vec<usize> {
        (0..self.head.len())
            .map(|column| {
                let cells = std::iter::once(&self.head).chain(&self.rows);
                cells.map(|row| row[column].chars().count()).max().unwrap_or(0)
            })
            .collect()
    }
}

fn line(row: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in row.iter().zip(widths) {
        line.push_str(cell);
        // Padded by hand: widths count characters, and the last column has no tail.
        let padding = width - cell.chars().count() + 2;
        line.extend(std::iter::repeat_n(' ', padding));
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(["NAME", "N"]);
        table.row(["é".to_owned(), "10".to_owned()]);
        table.row(["longer name".to_owned(), String::new()]);
        let widths = table.widths();
        let lines: Vec<String> =
            std::iter::once(&table.head).chain(&table.rows).map(|row| line(row, &widths)).collect();
        assert_eq!(lines, ["NAME         N", "é            10", "longer name"]);
    }
}
