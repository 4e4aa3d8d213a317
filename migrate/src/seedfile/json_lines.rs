//! On which lines the objects of a JSON seed and their fields stand.
//!
//! The text has been read as JSON before, so all that is looked at here is where strings and
//! containers begin and end.

/// Where the value of a type begins, and where the objects in its list do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Begins {
    pub(super) line: usize,
    pub(super) items: Vec<Item>,
}

/// Where an object of a list begins, and where its fields do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) line: usize,
    pub(super) fields: Vec<(String, usize)>,
}

/// The lines of `{type: [object, …], …}`, in the order of the text, which is valid JSON.
pub(super) fn of(text: &str) -> Vec<Begins> {
    let mut scan = Scan {
        text,
        at: 0,
        line: 1,
    };
    let mut found = Vec::new();
    scan.entries(|scan, _, _| {
        let mut begins = Begins {
            line: scan.line,
            items: Vec::new(),
        };
        scan.items(|scan| {
            let mut item = Item {
                line: scan.line,
                fields: Vec::new(),
            };
            scan.entries(|scan, name, line| {
                item.fields.push((name.to_owned(), line));
                scan.skip();
            });
            begins.items.push(item);
        });
        found.push(begins);
    });
    found
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Scan<'a> {
    fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.text.as_bytes().get(self.at) {
            match byte {
                b'\n' => self.line += 1,
                b' ' | b'\t' | b'\r' => {}
                _ => return Some(byte),
            }
            self.at += 1;
        }
        None
    }

    /// Steps over a byte if it comes next.
    fn eats(&mut self, wanted: u8) -> bool {
        let is_next = self.peek() == Some(wanted);
        self.at += usize::from(is_next);
        is_next
    }

    /// Steps over an object, and has each entry's value stepped over; over anything else alone.
    fn entries(&mut self, mut value: impl FnMut(&mut Self, &'a str, usize)) {
        if !self.eats(b'{') {
            return self.skip();
        }
        while !self.eats(b'}') {
            let (_, line) = (self.peek(), self.line);
            let name = self.string();
            self.eats(b':');
            self.peek();
            value(self, name, line);
            if !self.eats(b',') && self.peek().is_none() {
                return;
            }
        }
    }

    /// Steps over a list, and has each item stepped over; over anything else alone.
    fn items(&mut self, mut item: impl FnMut(&mut Self)) {
        if !self.eats(b'[') {
            return self.skip();
        }
        while !self.eats(b']') {
            item(self);
            if !self.eats(b',') && self.peek().is_none() {
                return;
            }
        }
    }

    /// Steps over a value.
    fn skip(&mut self) {
        match self.peek() {
            Some(b'{') => self.entries(|scan, _, _| scan.skip()),
            Some(b'[') => self.items(Self::skip),
            Some(b'"') => drop(self.string()),
            _ => {
                let rest = &self.text[self.at..];
                self.at += rest.find([',', '}', ']', '\n']).unwrap_or(rest.len());
            }
        }
    }

    /// Steps over a string; what stands between its quotes. (A name with an escape is none of a
    /// field.)
    fn string(&mut self) -> &'a str {
        self.at += 1;
        let from = self.at;
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            match byte {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        let to = self.at.min(bytes.len());
        self.at = to + 1;
        &self.text[from..to]
    }
}

#[cfg(test)]
mod tests {
    use super::{Begins, Item, of};

    #[test]
    fn lines_are_those_of_objects_and_fields() {
        let text = "{\n\"a\": [\n {\"x\": \"}\\\"\",\n\n\"y\": {\"z\": [1,\n2]}, \"w\": null}, 7\n,{}],\n\"b\": 5,\n\"c\":\n[]}";
        let item = |line, fields: &[(&str, usize)]| Item {
            line,
            fields: fields
                .iter()
                .map(|(name, line)| ((*name).to_owned(), *line))
                .collect(),
        };
        let items = vec![
            item(3, &[("x", 3), ("y", 5), ("w", 6)]),
            item(6, &[]),
            item(7, &[]),
        ];
        let none = |line| Begins {
            line,
            items: Vec::new(),
        };
        assert_eq!(of(text), [Begins { line: 2, items }, none(8), none(10)]);
    }
}
