//! Where in an object something is. A list on the stack, so that nothing is allocated while the object is good.

/// One step down from the root.
#[derive(Debug, Clone, Copy)]
enum Step<'a> {
    Root,
    Field(&'a str),
    Key(&'a str),
    Index(usize),
    /// A field that is written through a subresource of its own.
    Apart(&'a str),
}

/// A place in an object.
#[derive(Debug, Clone, Copy)]
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

impl<'a> Path<'a> {
    /// The object itself.
    pub const ROOT: Path<'static> = Path {
        parent: None,
        step: Step::Root,
    };

    /// A field that the schema declares.
    pub fn field(&'a self, name: &'a str) -> Path<'a> {
        self.below(Step::Field(name))
    }

    /// A field that is written through a subresource of its own: it is checked as if it were an object, and words say so.
    pub fn apart(&'a self, name: &'a str) -> Path<'a> {
        self.below(Step::Apart(name))
    }

    /// A key of a map.
    pub fn key(&'a self, key: &'a str) -> Path<'a> {
        self.below(Step::Key(key))
    }

    /// An item of a list.
    pub fn index(&'a self, index: usize) -> Path<'a> {
        self.below(Step::Index(index))
    }

    fn below(&'a self, step: Step<'a>) -> Path<'a> {
        Path {
            parent: Some(self),
            step,
        }
    }

    /// Whether this is the object itself.
    pub fn is_root(&self) -> bool {
        matches!(self.step, Step::Root)
    }

    /// As OpenAPI validation writes it: `spec.labels.team`, empty at the root.
    pub fn body(&self) -> String {
        self.text(true, dotted)
    }

    /// As words name it: from the field that was written, if that was not the whole object.
    pub fn words(&self) -> String {
        self.text(false, dotted)
    }

    /// As all other checks write it: `spec.labels[team]`, `<nil>` at the root.
    pub fn name(&self) -> String {
        if self.is_root() {
            return "<nil>".to_owned();
        }
        self.text(true, |text, key| {
            text.push('[');
            text.push_str(key);
            text.push(']');
        })
    }

    fn text(&self, from_root: bool, key: impl Fn(&mut String, &str)) -> String {
        let mut steps = Vec::new();
        let mut at = Some(self);
        while let Some(path) = at {
            steps.push(path.step);
            at = path.parent;
        }
        let mut text = String::new();
        for step in steps.iter().rev() {
            match step {
                Step::Root => {}
                Step::Field(name) => dotted(&mut text, name),
                Step::Key(name) => key(&mut text, name),
                Step::Apart(name) if from_root => dotted(&mut text, name),
                Step::Apart(_) => {}
                Step::Index(index) => text.push_str(&format!("[{index}]")),
            }
        }
        text.strip_prefix('.').map_or(text.clone(), str::to_owned)
    }
}

fn dotted(text: &mut String, name: &str) {
    text.push('.');
    text.push_str(name);
}
