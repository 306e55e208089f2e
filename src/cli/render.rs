//! Answers as text: tables that fit a terminal, and words that can't break one.

use std::fmt::Write as _;

use comfy_table::ColumnConstraint;
use comfy_table::ContentArrangement;
use comfy_table::LineStyle;
use comfy_table::Table;
use comfy_table::TableStyle;

/// Columns that every answer fits in.
pub const WIDTH: u16 = 100;

/// Characters that all columns with names may take together; the rest is left to the others.
const NAMES_WIDTH: usize = 64;
/// A name that is longer than its column is broken behind these.
const NAME_JOINTS: [char; 3] = ['-', '.', '_'];

/// A line below the header and nothing else: what is read are the rows.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A table under construction. Whatever is put into it is shown harmlessly.
#[derive(Debug)]
pub struct Rows {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
    fixed: Vec<usize>,
    names: Vec<usize>,
}

impl Rows {
    /// A table with these columns.
    #[must_use]
    pub fn new(columns: &[&str]) -> Self {
        let header = columns.iter().map(|title| (*title).to_owned()).collect();
        Self { header, rows: Vec::new(), fixed: Vec::new(), names: Vec::new() }
    }

    /// Columns, counted from 0, that are as wide as what is in them; the others share the rest.
    #[must_use]
    pub fn fixed(mut self, columns: &[usize]) -> Self {
        self.fixed = columns.to_vec();
        self
    }

    /// Columns of names, counted from 0: each name stays whole as long as it fits, so that it can be
    /// found and copied. Line feeds part several names in one cell.
    #[must_use]
    pub fn names(mut self, columns: &[usize]) -> Self {
        self.names = columns.to_vec();
        self
    }

    /// Adds a row.
    pub fn add(&mut self, cells: impl IntoIterator<Item = String>) {
        let shown = |(column, cell): (usize, String)| {
            if !self.names.contains(&column) {
                return visible(&cell);
            }
            cell.split('\n').map(visible).collect::<Vec<_>>().join("\n")
        };
        let row = cells.into_iter().enumerate().map(shown).collect();
        self.rows.push(row);
    }

    /// The table, a line feed behind every line; empty where it has no rows.
    #[must_use]
    pub fn text(mut self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        self.break_names();
        let mut table = Table::new();
        table
            .load_style(STYLE)
            .force_no_tty()
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(WIDTH)
            .set_header(self.header)
            .add_rows(self.rows);
        for index in self.fixed.into_iter().chain(self.names) {
            if let Some(column) = table.column_mut(index) {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        let mut text = String::new();
        for line in table.lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// Shares the room for names among their columns: what one does not need is left to the others.
    fn break_names(&mut self) {
        let longest = |column: &usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(*column));
            let names = cells.flat_map(|cell| cell.split('\n'));
            names.map(|name| name.chars().count()).max().unwrap_or_default()
        };
        let mut needs: Vec<(usize, usize)> =
            self.names.iter().map(|column| (longest(column), *column)).collect();
        needs.sort_unstable();
        let (mut room, mut left) = (NAMES_WIDTH, needs.len());
        for (needed, column) in needs {
            let width = needed.min(room.checked_div(left).unwrap_or(room));
            room = room.saturating_sub(width);
            left = left.saturating_sub(1);
            for cell in self.rows.iter_mut().filter_map(|row| row.get_mut(column)) {
                let lines = cell.split('\n').map(|name| broken_name(name, width));
                *cell = lines.collect::<Vec<_>>().join("\n");
            }
        }
    }
}

/// A name on lines of at most `width` characters, broken behind joints. Only what has no joint for
/// a whole line is broken elsewhere: a name may not break the table.
fn broken_name(name: &str, width: usize) -> String {
    let mut broken = String::new();
    let mut column: usize = 0;
    for part in name.split_inclusive(NAME_JOINTS) {
        let length = part.chars().count();
        if column > 0 && column.saturating_add(length) > width {
            broken.push('\n');
            column = 0;
        }
        for c in part.chars() {
            if column == width {
                broken.push('\n');
                column = 0;
            }
            broken.push(c);
            column = column.saturating_add(1);
        }
    }
    broken
}

/// A time in ms since 1970, to the minute: `2026-11-28 09:14 UTC`.
#[must_use]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "a day and its parts are far from an i64's ends"
)]
pub fn minute(at_ms: i64) -> String {
    const DAY_MINUTES: i64 = 24 * 60;
    let minutes = at_ms.div_euclid(60_000);
    let (days, minute) = (minutes.div_euclid(DAY_MINUTES), minutes.rem_euclid(DAY_MINUTES));
    // Years are counted from 1 March 0000, so that a leap day is the last of its year, in eras of 400
    // years, which are all alike.
    let (era, day) = ((days + 719_468).div_euclid(146_097), (days + 719_468).rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    let (hour, minute) = (minute / 60, minute % 60);
    format!("{:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC", era * 400 + year)
}

/// The text with everything spelled out that would move a cursor or turn the direction of writing.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmful(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// A JSON document in which no string holds what [`visible`] spells out.
#[must_use]
pub fn visible_json(document: &str) -> String {
    let mut shown = String::with_capacity(document.len());
    for c in document.chars() {
        // Line feeds stand between fields only; in strings they are escaped already.
        if is_harmful(c) && c != '\n' {
            let mut units = [0u16; 2];
            for unit in c.encode_utf16(&mut units) {
                // Writing to a string can't fail.
                let _written = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Controls of terminals, separators of lines, marks and overrides of direction.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
}

/// Lines of at most [`WIDTH`] characters, broken at blanks, the later ones behind `indent`. A word
/// that is longer stays whole.
#[must_use]
pub fn wrapped(first: &str, indent: &str, text: &str) -> String {
    broken(first, indent, text, "")
}

/// The same for what to do: a command at its end stands on lines of its own and can be copied.
#[must_use]
pub fn wrapped_command(first: &str, indent: &str, text: &str) -> String {
    let start = text
        .find(".sh ")
        .and_then(|end| text.get(..end))
        .map(|before| before.rfind(' ').map_or(0, |blank| blank.saturating_add(1)));
    match start.and_then(|start| text.split_at_checked(start)) {
        None => wrapped(first, indent, text),
        Some(("", command)) => broken(first, indent, command, " \\"),
        Some((words, command)) => {
            wrapped(first, indent, words.trim_end()) + &broken(indent, indent, command, " \\")
        }
    }
}

fn broken(first: &str, indent: &str, text: &str, goes_on: &str) -> String {
    let width = usize::from(WIDTH).saturating_sub(goes_on.len());
    let mut out = first.to_owned();
    let mut column = first.chars().count();
    let mut at_start = true;
    for word in visible(text).split(' ') {
        let length = word.chars().count();
        let wanted = column.saturating_add(length).saturating_add(usize::from(!at_start));
        if !at_start && wanted > width {
            out.push_str(goes_on);
            out.push('\n');
            out.push_str(indent);
            column = indent.chars().count();
        } else if !at_start {
            out.push(' ');
            column = column.saturating_add(1);
        }
        out.push_str(word);
        column = column.saturating_add(length);
        at_start = false;
    }
    out.push('\n');
    out
}

/// A number of bytes for people.
#[must_use]
pub fn bytes(count: u64) -> String {
    let units = [("GiB", 30u32), ("MiB", 20), ("KiB", 10)];
    for (unit, shift) in units {
        let one = 1u64 << shift;
        if count >= one {
            let tenths = count.saturating_mul(10).checked_div(one).unwrap_or_default();
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{count} B")
}

/// A share in per cent.
#[must_use]
pub fn percent(part: u64, whole: u64) -> String {
    format!("{} %", part.saturating_mul(100).checked_div(whole).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_to_the_minute() {
        for (at_ms, told) in [
            (0, "1970-01-01 00:00 UTC"),
            (951_782_399_999, "2000-02-28 23:59 UTC"),
            (951_782_400_000, "2000-02-29 00:00 UTC"),
            (1_795_857_240_000, "2026-11-28 09:14 UTC"),
            (-1, "1969-12-31 23:59 UTC"),
            (4_107_542_400_000, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(minute(at_ms), told);
        }
        assert!(minute(i64::MAX).ends_with(" UTC") && minute(i64::MIN).ends_with(" UTC"));
    }

    #[test]
    fn what_moves_a_cursor_or_turns_a_line_is_spelled_out() {
        assert_eq!(visible("a\u{1b}[2Jb\tc"), "a\\u{1b}[2Jb\\u{9}c");
        assert_eq!(visible("x\u{202e}y\u{9b}\u{2028}"), "x\\u{202e}y\\u{9b}\\u{2028}");
        assert_eq!(visible("größe-😀 '\"\\"), "größe-😀 '\"\\");
    }

    #[test]
    fn json_stays_json_and_says_the_same() {
        let said = "a\u{9b}\u{202e}\u{7f}😀\n";
        let document = serde_json::to_string_pretty(&[said]).unwrap();
        let shown = visible_json(&document);
        assert!(!shown.chars().any(|c| is_harmful(c) && c != '\n'), "{shown}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&shown).unwrap(), [said]);
    }

    #[test]
    fn lines_are_broken_at_blanks_and_words_stay_whole() {
        let text = format!("{} {} end", "a".repeat(60), "b".repeat(120));
        let lines = format!("1. {}\n   {}\n   end\n", "a".repeat(60), "b".repeat(120));
        assert_eq!(wrapped("1. ", "   ", &text), lines);
    }

    #[test]
    fn a_command_stands_alone_and_can_be_copied() {
        let text = format!("do it: kafka-x.sh {} --end", "a".repeat(80));
        let lines = format!("do: do it:\n    kafka-x.sh {} \\\n    --end\n", "a".repeat(80));
        assert_eq!(wrapped_command("do: ", "    ", &text), lines);
        assert_eq!(wrapped_command("do: ", "    ", "kafka-x.sh -a"), "do: kafka-x.sh -a\n");
        assert_eq!(wrapped_command("do: ", "    ", "wait"), "do: wait\n");
    }

    #[test]
    fn sizes_and_shares_are_short() {
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(3 << 30), "3.0 GiB");
        assert_eq!(percent(1, 3), "33 %");
        assert_eq!(percent(0, 0), "0 %");
    }

    #[test]
    fn a_table_fits_the_width_and_nothing_makes_no_table() {
        assert_eq!(Rows::new(&["a", "b"]).text(), "");
        let mut rows = Rows::new(&["a", "b"]);
        rows.add(["x".repeat(150), "y ".repeat(80)]);
        assert!(rows.text().lines().all(|line| line.chars().count() <= usize::from(WIDTH)));
    }

    #[test]
    fn a_name_is_broken_behind_its_joints_and_only_where_it_does_not_fit() {
        let shown = |name: &str| {
            let mut rows = Rows::new(&["subject", "reason"]).names(&[0]);
            rows.add([name.to_owned(), "why ".repeat(60)]);
            let text = rows.text();
            let cells = text.lines().skip(2).map(|line| line.split_whitespace().next().unwrap());
            cells.take_while(|cell| *cell != "why").map(str::to_owned).collect::<Vec<_>>()
        };
        let fits = "com.example/orders|europe-with-a-name-of-sixty-characters-value";
        assert_eq!(shown(fits), [fits]);
        let parts = ["com.example/".to_owned() + &"o".repeat(40) + "-", "e|".repeat(20)];
        assert_eq!(shown(&parts.concat()), parts);
        assert_eq!(shown(&"x/".repeat(40)), ["x/".repeat(32), "x/".repeat(8)]);
    }
}
