//! [`MessageLayout`]: what a segment says of its messages.

use crate::error::LayoutError;
use crate::message::schema::{Outlined, bytes_described, is_schema, outline};
use crate::message::{Message, Travel};
use crate::queue::{MessageType, QueueBuilder};
use crate::shm::kind::Kind;
use crate::shm::layout::{PAGE_BYTES, SCHEMA_BYTES};
use crate::shm::segment::Segment;

/// What the messages of a queue or a topic are in memory.
///
/// ```
/// assert_eq!(shmq::MessageLayout::of::<[f32]>().form(), shmq::Form::Slice);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// Each message is one value, all of one size: a `Queue<T>`.
    Value,
    /// Each message is a number of elements, all of one size: a `Queue<[X]>`.
    Slice,
    /// Each message is one object in some encoding, of any length: an `ObjectQueue`.
    Encoded,
}

/// A field of the struct that messages are: see [`MessageLayout::fields`].
///
/// ```
/// let layout = shmq::MessageLayout::value(16, 8)?.structure("{price@0: f64, volume@8: u64}")?;
/// let volume = &layout.fields()[1];
/// assert_eq!((volume.name.as_str(), volume.offset, volume.size), ("volume", 8, 8));
/// assert_eq!(volume.structure, "u64");
/// # Ok::<(), shmq::LayoutError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayoutField {
    /// Its name; a number for a field of a tuple.
    pub name: String,
    /// Bytes from the beginning of the message (or of the element, of slices).
    pub offset: usize,
    /// Its bytes.
    pub size: usize,
    /// What it is, as a structural schema of its own.
    pub structure: String,
}

/// The layout of messages, where no Rust type says it: what a segment keeps of it, and what is
/// compared when it is opened.
///
/// | | from |
/// |---|---|
/// | a process that has the type | [`of`](Self::of) |
/// | a process that knows size and alignment | [`value`](Self::value), [`slice`](Self::slice), [`encoded`](Self::encoded) |
/// | a process that knows nothing | [`DynQueue::open`](crate::DynQueue::open), then [`layout`](crate::DynQueue::layout) |
///
/// **To be opened as a `Queue<T>`**, a queue that is created with a layout needs the size and the
/// alignment of `T`, and its [structural schema](crate::Message::schema) as
/// [`structure`](Self::structure). The name of the type may be left out: it is compared where both
/// sides have one, unless both have a [`schema`](Self::schema), which then stands for it.
///
#[cfg_attr(feature = "derive", doc = "```")]
#[cfg_attr(not(feature = "derive"), doc = "```ignore")]
/// use shmq::{DynQueue, MessageLayout, Queue};
///
/// #[shmq::message]
/// struct Tick { price: f64, volume: u64 }
///
/// // As a program would in which there is no `Tick`.
/// let layout = MessageLayout::value(16, 8)?.structure("{price@0: f64, volume@8: u64}")?;
/// let bytes = DynQueue::new(layout, 8)?;
/// bytes.put(&[0; 16])?;
/// let ticks = Queue::<Tick>::open(bytes.name())?;
/// assert_eq!(ticks.get()?.volume, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageLayout {
    form: Form,
    size: usize,
    align: usize,
    type_name: Option<String>,
    schema: Option<String>,
    structure: Option<String>,
    is_cut: bool,
}

/// A record's length is a 32-bit word.
const MOST_BYTES: usize = u32::MAX as usize;

impl MessageLayout {
    /// That of a message type: what a `Queue<T>` has.
    ///
    /// ```
    /// let layout = shmq::MessageLayout::of::<[u64; 3]>();
    /// assert_eq!((layout.size(), layout.align()), (24, 8));
    /// assert_eq!((layout.structure_text(), layout.name_of_type()), (Some("[u64; 3]"), Some("[u64; 3]")));
    /// ```
    pub fn of<T: ?Sized + Message>() -> MessageLayout {
        MessageLayout {
            form: if T::IS_SIZED { Form::Value } else { Form::Slice },
            size: T::LAYOUT.bytes,
            align: T::LAYOUT.align,
            type_name: Some(T::unit_name()),
            schema: None,
            structure: Some(T::schema()),
            is_cut: false,
        }
    }

    /// Values of `size` bytes each, at multiples of `align` in memory. All bytes travel: there
    /// should be no padding in them.
    ///
    /// # Errors
    /// [`LayoutError`]: the alignment is a power of two up to 4096, and the size a multiple of it.
    ///
    /// ```
    /// assert_eq!(shmq::MessageLayout::value(24, 8)?.size(), 24);
    /// assert!(shmq::MessageLayout::value(24, 3).is_err());
    /// # Ok::<(), shmq::LayoutError>(())
    /// ```
    pub fn value(size: usize, align: usize) -> Result<MessageLayout, LayoutError> {
        if !align.is_power_of_two() || align as u64 > PAGE_BYTES {
            return Err(LayoutError::Align { align });
        }
        if size % align != 0 {
            return Err(LayoutError::NotAligned { size, align });
        }
        if size > MOST_BYTES {
            return Err(LayoutError::TooLarge { size, max: MOST_BYTES });
        }
        let (type_name, schema, structure) = (None, None, None);
        Ok(MessageLayout { form: Form::Value, size, align, type_name, schema, structure, is_cut: false })
    }

    /// Slices, as many elements as each message has, of `size` bytes each, at multiples of `align`
    /// in memory.
    ///
    /// # Errors
    /// As [`value`](Self::value); an element has at least one byte.
    ///
    /// ```
    /// assert_eq!(shmq::MessageLayout::slice(4, 4)?.form(), shmq::Form::Slice);
    /// # Ok::<(), shmq::LayoutError>(())
    /// ```
    pub fn slice(size: usize, align: usize) -> Result<MessageLayout, LayoutError> {
        match MessageLayout::value(size, align)? {
            MessageLayout { size: 0, .. } => Err(LayoutError::NoBytes),
            layout => Ok(MessageLayout { form: Form::Slice, ..layout }),
        }
    }

    /// Objects in an encoding that all sides know: what an `ObjectQueue` has. The bytes of a
    /// message are those of one encoded object.
    ///
    /// To be opened as an `ObjectQueue<T>`, it needs a [`schema`](Self::schema) that both sides
    /// give, or the name of the type and its encoding as that has it
    /// ([`type_name`](Self::type_name): `"Job as MessagePack"`).
    ///
    /// ```
    /// use shmq::{DynQueue, MessageLayout, ObjectQueue};
    ///
    /// let layout = MessageLayout::encoded().type_name("u64 as MessagePack");
    /// let bytes = DynQueue::new(layout, 8)?;
    /// let numbers = ObjectQueue::<u64>::open(bytes.name())?;
    /// numbers.put(&7)?;
    /// assert_eq!(bytes.get()?, [7]); // MessagePack's
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn encoded() -> MessageLayout {
        let (type_name, schema, structure) = (None, None, None);
        MessageLayout { form: Form::Encoded, size: 1, align: 1, type_name, schema, structure, is_cut: false }
    }

    /// With a structure: the fields of a value, or of an element, as a
    /// [structural schema](crate::Message::schema). The first 4096 bytes of the text are kept in
    /// the segment, and all of it is compared. Text of another kind is kept and compared as well,
    /// with other text of that kind.
    ///
    /// # Errors
    /// [`LayoutError::Structure`] if it describes more bytes than there are;
    /// [`LayoutError::StructureOfEncoded`].
    ///
    /// ```
    /// let layout = shmq::MessageLayout::value(8, 8)?;
    /// assert_eq!(layout.clone().structure("f64")?.structure_text(), Some("f64"));
    /// assert!(layout.structure("[f64; 2]").is_err());
    /// # Ok::<(), shmq::LayoutError>(())
    /// ```
    pub fn structure(self, text: impl Into<String>) -> Result<MessageLayout, LayoutError> {
        let text = text.into();
        if self.form == Form::Encoded {
            return Err(LayoutError::StructureOfEncoded);
        }
        // Fields that no address space holds are described, and do not fit.
        match bytes_described(&text).or_else(|| is_schema(&text, false).then_some(usize::MAX)) {
            Some(described) if described > self.size => Err(LayoutError::Structure { described, size: self.size }),
            _ => Ok(MessageLayout { structure: Some(text).filter(|text| !text.is_empty()), is_cut: false, ..self }),
        }
    }

    /// With a schema of your own, as that of
    /// [`QueueBuilder::schema`](crate::QueueBuilder::schema): a name and a version, such as
    /// `tick/2`.
    ///
    /// # Errors
    /// [`LayoutError::LongSchema`] for more than 64 bytes.
    ///
    /// ```
    /// assert_eq!(shmq::MessageLayout::encoded().schema("job/1")?.schema_text(), Some("job/1"));
    /// # Ok::<(), shmq::LayoutError>(())
    /// ```
    pub fn schema(self, text: impl Into<String>) -> Result<MessageLayout, LayoutError> {
        let text = text.into();
        match text.len() {
            len if len > SCHEMA_BYTES => Err(LayoutError::LongSchema { len, max: SCHEMA_BYTES }),
            len => Ok(MessageLayout { schema: Some(text).filter(|_| len > 0), ..self }),
        }
    }

    /// With the name of the type, as Rust programs have it, without its module. A segment keeps 272
    /// bytes of it.
    ///
    /// ```
    /// let layout = shmq::MessageLayout::value(16, 8)?.type_name("Tick");
    /// assert_eq!(layout.name_of_type(), Some("Tick"));
    /// # Ok::<(), shmq::LayoutError>(())
    /// ```
    #[must_use = "the layout is given back"]
    pub fn type_name(self, name: impl Into<String>) -> MessageLayout {
        MessageLayout { type_name: Some(name.into()).filter(|name| !name.is_empty()), ..self }
    }

    /// Are messages values, slices, or encoded objects?
    ///
    /// ```
    /// assert_eq!(shmq::MessageLayout::of::<u64>().form(), shmq::Form::Value);
    /// ```
    pub fn form(&self) -> Form {
        self.form
    }

    /// Bytes of a value, or of an element of a slice; 1 of encoded objects.
    ///
    /// ```
    /// assert_eq!(shmq::MessageLayout::of::<[u32]>().size(), 4);
    /// ```
    pub fn size(&self) -> usize {
        self.size
    }

    /// Each message begins at a multiple of so many bytes in memory (and of 8 at least).
    ///
    /// ```
    /// assert_eq!(shmq::MessageLayout::of::<[u32]>().align(), 4);
    /// ```
    pub fn align(&self) -> usize {
        self.align
    }

    /// The structure, as text: the [structural schema](crate::Message::schema) of the type, unless
    /// the creator gave other text.
    ///
    /// ```
    /// assert_eq!(shmq::MessageLayout::of::<[u32]>().structure_text(), Some("u32"));
    /// ```
    pub fn structure_text(&self) -> Option<&str> {
        self.structure.as_deref()
    }

    /// Is that only the beginning of the structure, since a segment keeps 4096 bytes? Such a layout
    /// is compared with others without it.
    ///
    /// ```
    /// assert!(!shmq::MessageLayout::of::<u64>().is_structure_cut());
    /// ```
    pub fn is_structure_cut(&self) -> bool {
        self.is_cut
    }

    /// The creator's own schema.
    ///
    /// ```
    /// assert_eq!(shmq::MessageLayout::of::<u64>().schema_text(), None);
    /// ```
    pub fn schema_text(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// The name of the type, where the creator had one.
    ///
    /// ```
    /// assert_eq!(shmq::MessageLayout::of::<u64>().name_of_type(), Some("u64"));
    /// ```
    pub fn name_of_type(&self) -> Option<&str> {
        self.type_name.as_deref()
    }

    /// The fields, where messages (or elements) are structs: in the order of their offsets, each
    /// with its own structure, which may be a struct again. Empty for other types, and where the
    /// structure is no structural schema or was cut.
    ///
    #[cfg_attr(feature = "derive", doc = "```")]
    #[cfg_attr(not(feature = "derive"), doc = "```ignore")]
    /// #[shmq::message]
    /// struct Tick { price: f64, sizes: [u32; 2] }
    ///
    /// let queue = shmq::Queue::<Tick>::new(8)?;
    /// // In a program that has no `Tick`:
    /// let layout = shmq::DynQueue::open(queue.name())?.layout().clone();
    /// let fields = layout.fields();
    /// assert_eq!((fields[1].name.as_str(), fields[1].offset, fields[1].size), ("sizes", 8, 8));
    /// assert_eq!(fields[1].structure, "[u32; 2]");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fields(&self) -> Vec<LayoutField> {
        let text = self.structure.as_deref().filter(|_| !self.is_cut).unwrap_or_default();
        let owned = |field: Outlined<'_>| LayoutField {
            name: field.name.to_owned(),
            offset: field.offset,
            size: field.bytes,
            structure: field.text.to_owned(),
        };
        outline(text).into_iter().map(owned).collect()
    }

    /// What a segment that is open says.
    pub(super) fn of_segment(segment: &Segment) -> MessageLayout {
        let info = segment.info();
        MessageLayout {
            form: match info.kind {
                Kind::Sized | Kind::TopicSized => Form::Value,
                Kind::Encoded | Kind::TopicEncoded => Form::Encoded,
                _ => Form::Slice,
            },
            size: info.geometry.message_bytes as usize,
            align: info.geometry.message_align as usize,
            type_name: Some(info.type_name.clone()).filter(|name| !name.is_empty()),
            schema: info.schema.clone(),
            structure: info.structure.as_ref().map(|structure| structure.text().to_owned()),
            is_cut: info.structure.as_ref().is_some_and(|structure| structure.is_cut()),
        }
    }

    /// Gives a builder of a queue, or of a topic, what it needs to know of it.
    pub(super) fn set<Q>(self, builder: QueueBuilder<Q>, is_topic: bool) -> QueueBuilder<Q> {
        let kind = match (self.form, is_topic) {
            (Form::Value, false) => Kind::Sized,
            (Form::Slice, false) => Kind::Slice,
            (Form::Encoded, false) => Kind::Encoded,
            (Form::Value, true) => Kind::TopicSized,
            (Form::Slice, true) => Kind::TopicSlice,
            (Form::Encoded, true) => Kind::TopicEncoded,
        };
        // Text that is no structural schema is compared as that of a builder is.
        let (fields, said) = match self.structure.filter(|_| !self.is_cut) {
            Some(text) if is_schema(&text, false) => (Some(text), None),
            text => (None, text),
        };
        let type_name = self.type_name.unwrap_or_default();
        let message_type = MessageType::of_layout(kind, self.size, self.align, type_name, fields);
        builder.with(|settings| {
            settings.message_type = Some(message_type);
            settings.schema = self.schema;
            settings.structure = said;
        })
    }
}
