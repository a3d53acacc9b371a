//! A strict reader for the XML that drawings are made of: anything that is not well-formed panics.

#[derive(Debug, Default)]
pub struct Element {
    pub name: String,
    pub attributes: Vec<(String, String)>,
}

impl Element {
    pub fn get(&self, key: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, value)| value.as_str())
    }

    pub fn number(&self, key: &str) -> f64 {
        self.get(key)
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| panic!("{key} of {self:?} is no number"))
    }
}

/// The elements in the order of their opening tags.
pub fn parse(text: &str) -> Vec<Element> {
    let good = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    assert!(
        text.chars().all(good),
        "a character that XML does not allow"
    );
    let mut elements: Vec<Element> = Vec::new();
    let mut open: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        check_text(&rest[..at], open.is_empty());
        let end = tag_end(&rest[at..]) + at;
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(
                open.pop().as_deref(),
                Some(name),
                "a closing tag of something else"
            );
            continue;
        }
        assert!(
            !open.is_empty() || elements.is_empty(),
            "two outermost elements"
        );
        let (tag, closed) = tag
            .strip_suffix('/')
            .map_or((tag, false), |tag| (tag, true));
        let element = element(tag);
        if !closed {
            open.push(element.name.clone());
        }
        elements.push(element);
    }
    check_text(rest, true);
    assert!(
        open.is_empty() && !elements.is_empty(),
        "not closed: {open:?}"
    );
    elements
}

fn tag_end(text: &str) -> usize {
    let mut quoted = false;
    for (i, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '>' if !quoted => return i,
            _ => {}
        }
    }
    panic!("a tag without an end")
}

fn element(tag: &str) -> Element {
    let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
    assert!(
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric()),
        "name {name:?}"
    );
    let mut element = Element {
        name: name.to_string(),
        attributes: Vec::new(),
    };
    while !rest.trim().is_empty() {
        let (key, after) = rest
            .split_once("=\"")
            .expect("an attribute has a value in quotes");
        let (value, after) = after.split_once('"').expect("quotes are closed");
        let key = key.trim();
        assert!(
            !key.is_empty() && key.chars().all(|c| c.is_ascii_alphabetic() || c == '-'),
            "key {key:?}"
        );
        assert!(element.get(key).is_none(), "{key} twice");
        assert!(!value.contains('<'), "value {value:?}");
        check_text(value, false);
        element
            .attributes
            .push((key.to_string(), value.to_string()));
        assert!(
            after.is_empty() || after.starts_with(' '),
            "attributes run together"
        );
        rest = after;
    }
    element
}

fn check_text(text: &str, outside: bool) {
    assert!(!outside || text.trim().is_empty(), "text outside: {text:?}");
    assert!(!text.contains("]]>"), "the end of a section");
    for (i, _) in text.match_indices('&') {
        let name = text[i + 1..].split(';').next().unwrap_or("");
        assert!(
            ["amp", "lt", "gt", "quot"].contains(&name),
            "entity {name:?}"
        );
    }
}

/// The points of a path of M, L and C; curves by sixteen of theirs.
pub fn points(path: &str) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = Vec::new();
    let mut rest = path;
    while let Some(letter) = rest.chars().next() {
        let end = rest[1..]
            .find(['M', 'L', 'C'])
            .map_or(rest.len(), |i| i + 1);
        let numbers: Vec<f64> = rest[1..end]
            .split(' ')
            .map(|n| n.parse().expect("a number"))
            .collect();
        let pairs: Vec<(f64, f64)> = numbers.chunks(2).map(|c| (c[0], c[1])).collect();
        match (letter, &pairs[..]) {
            ('M' | 'L', &[p]) => points.push(p),
            ('C', &[b, c, d]) => {
                let a = *points.last().expect("a curve starts somewhere");
                for i in 1..=16 {
                    let t = f64::from(i) / 16.0;
                    let u = 1.0 - t;
                    let mix = |a: f64, b: f64, c: f64, d: f64| {
                        u * u * u * a + 3.0 * u * u * t * b + 3.0 * u * t * t * c + t * t * t * d
                    };
                    points.push((mix(a.0, b.0, c.0, d.0), mix(a.1, b.1, c.1, d.1)));
                }
            }
            _ => panic!("a path with {letter} and {} points", pairs.len()),
        }
        rest = &rest[end..];
    }
    points
}
