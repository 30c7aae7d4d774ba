//! Fields and lines of CSV, as RFC 4180 has them.

/// A field as it stands in a line: in quotes when it holds a comma, a quote or the end of a line.
pub(super) fn field(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// The fields of every line that is not empty.
///
/// # Errors
/// When a quote is not closed, as a sentence.
pub(super) fn parse(text: &str) -> Result<Vec<Vec<String>>, String> {
    let (mut lines, mut line, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut number) = (false, 1);
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        number += usize::from(c == '\n');
        match (quoted, c) {
            (true, '"') if characters.next_if_eq(&'"').is_some() => field.push('"'),
            (true, '"') => quoted = false,
            (true, c) => field.push(c),
            (false, '"') => quoted = true,
            (false, ',') => line.push(std::mem::take(&mut field)),
            (false, '\n') => {
                line.push(std::mem::take(&mut field));
                lines.push(std::mem::take(&mut line));
            }
            (false, '\r') => {}
            (false, c) => field.push(c),
        }
    }
    if quoted {
        return Err(format!("a quote is not closed before the end of line {number}"));
    }
    line.push(field);
    lines.push(line);
    lines.retain(|line| line.iter().any(|field| !field.trim().is_empty()));
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let fields = ["a", "b,c", "d\"e", "f\ng", ""];
        let text = format!("{}\r\n\r\n", fields.map(field).join(","));
        assert_eq!(parse(&text).unwrap(), [fields]);
        assert!(parse("a,\"b\nc").is_err());
    }
}
