//! Where a string ends. Most of every record is one string, the schema's text, and every second
//! word of it stands in escaped quotes: so it is walked 64 bytes at once, without a branch for each
//! escape.

use wide::u8x16;

/// Names and short values end within so many bytes: a block for them would be waste.
const SHORT_MAX: usize = 40;
/// Bytes that are looked at together.
const BLOCK: usize = 64;

/// The length of the string that `bytes` begin with, quotes counted, and whether it holds an escape
/// of what could stand for itself, or be escaped otherwise; `None` where no string stands.
pub(super) fn measure_string(bytes: &[u8]) -> Option<(usize, bool)> {
    let inner = bytes.strip_prefix(b"\"")?;
    let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    match inner.iter().take(SHORT_MAX).position(ends) {
        Some(plain) if inner.get(plain) == Some(&b'"') => Some((plain.checked_add(2)?, false)),
        Some(_) | None => {
            let (length, is_odd) = measure_text(inner)?;
            Some((length.checked_add(2)?, is_odd))
        }
    }
}

/// The same from behind the opening quote, up to the closing one.
fn measure_text(text: &[u8]) -> Option<(usize, bool)> {
    let mut is_odd = false;
    let mut backslash_before = false;
    let mut at: usize = 0;
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    // What is missing to a whole block is filled with what no string holds.
    let mut last = [0; BLOCK];
    last.get_mut(..rest.len())?.copy_from_slice(rest);
    for bytes in blocks.iter().chain([&last]) {
        let found = Found::in_block(bytes);
        let escaped = found.escaped(&mut backslash_before);
        let ends = found.quotes & !escaped;
        // The bits below the first end; all where there is none.
        let inside = ends.wrapping_sub(1) & !ends;
        if found.controls & inside != 0 {
            return None;
        }
        let mut others = escaped & !(found.quotes | found.backslashes) & inside;
        while others != 0 {
            let place = at.checked_add(place_of_lowest(others))?;
            is_odd |= is_odd_escape(text.get(place..)?)?;
            others &= others.wrapping_sub(1);
        }
        if ends != 0 {
            return Some((at.checked_add(place_of_lowest(ends))?, is_odd));
        }
        at = at.checked_add(BLOCK)?;
    }
    None
}

/// Whether what stands behind a backslash could also stand for itself, or be escaped otherwise;
/// `None` where it is no escape.
fn is_odd_escape(escaped: &[u8]) -> Option<bool> {
    match escaped {
        [b'b' | b'f' | b'n' | b'r' | b't', ..] => Some(false),
        [b'/', ..] => Some(true),
        [b'u', digits @ ..] => {
            digits.first_chunk::<4>()?.iter().all(u8::is_ascii_hexdigit).then_some(true)
        }
        _ => None,
    }
}

fn place_of_lowest(bits: u64) -> usize {
    usize::try_from(bits.trailing_zeros()).unwrap_or_default()
}

/// Which bytes of a block are what matters here: a bit for each, the first byte's the lowest.
struct Found {
    quotes: u64,
    backslashes: u64,
    controls: u64,
}

impl Found {
    fn in_block(bytes: &[u8; BLOCK]) -> Self {
        let mut found = Self { quotes: 0, backslashes: 0, controls: 0 };
        let (quote, backslash) = (u8x16::splat(b'"'), u8x16::splat(b'\\'));
        let last_control = u8x16::splat(0x1F);
        let (parts, _) = bytes.as_chunks::<16>();
        for part in parts.iter().rev() {
            let part = u8x16::new(*part);
            let append = |bits: &mut u64, hits: u8x16| {
                *bits = *bits << 16 | u64::from(hits.to_bitmask());
            };
            append(&mut found.quotes, part.simd_eq(quote));
            append(&mut found.backslashes, part.simd_eq(backslash));
            append(&mut found.controls, part.min(last_control).simd_eq(part));
        }
        found
    }

    /// The bytes behind a backslash that is not escaped itself. A run of backslashes escapes what
    /// follows it where its length is odd: adding a bit where a run starts carries it to the end of
    /// the run, and where it comes out tells the parity.
    fn escaped(&self, backslash_before: &mut bool) -> u64 {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        let before = u64::from(*backslash_before);
        let backslashes = self.backslashes & !before;
        let follows = backslashes << 1 | before;
        let odd_starts = backslashes & !EVEN & !follows;
        let (carried, over) = odd_starts.overflowing_add(backslashes);
        *backslash_before = over;
        (EVEN ^ carried << 1) & follows
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rule itself, byte by byte.
    #[expect(clippy::arithmetic_side_effects, reason = "places in short texts")]
    fn by_bytes(bytes: &[u8]) -> Option<(usize, bool)> {
        let mut at = 1;
        let mut is_odd = false;
        if *bytes.first()? != b'"' {
            return None;
        }
        loop {
            match *bytes.get(at)? {
                b'"' => return Some((at + 1, is_odd)),
                b'\\' => {
                    is_odd |= match *bytes.get(at + 1)? {
                        b'"' | b'\\' => false,
                        _ => is_odd_escape(&bytes[at + 1..])?,
                    };
                    at += 2;
                }
                0..0x20 => return None,
                _ => at += 1,
            }
        }
    }

    #[test]
    fn an_end_is_found_wherever_it_stands_and_whatever_stands_around_it() {
        for length in 0..200 {
            for end in
                ["\"", "\\\"", "\\\\\"", "\\\\\\\"", "\\u00e4\"", "\\/\"", "\t\"", "\\x\"", "\\"]
            {
                for tail in ["", "\",\"b\":\"\\\\\"}"] {
                    let bytes = format!("\"{}{end}{tail}", "a".repeat(length)).into_bytes();
                    assert_eq!(measure_string(&bytes), by_bytes(&bytes), "{length} {end} {tail}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn blocks_find_what_single_bytes_find(inner in "[a\"\\\\u0-9/n\u{1}äé😀]{0,300}") {
            let bytes = format!("\"{inner}").into_bytes();
            prop_assert_eq!(measure_string(&bytes), by_bytes(&bytes));
        }

        #[test]
        fn long_runs_of_backslashes_keep_their_parity(
            before in 0usize..130, run in 0usize..200, after in 0usize..80,
        ) {
            let text = format!("\"{}{}\"{}\"", "x".repeat(before), "\\".repeat(run), "y".repeat(after));
            prop_assert_eq!(measure_string(text.as_bytes()), by_bytes(text.as_bytes()));
        }
    }
}
