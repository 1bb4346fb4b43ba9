//! What structs and enums have in common: name, generics, `repr`, checks of field types, and the
//! impls around the parts that differ.

use proc_macro2::{Span, TokenStream as Tokens, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, DeriveInput, Error, Field, GenericParam, Generics, Ident, Path, Type, parse_quote};

pub const UNION: &str =
    "a union cannot be a message: which of its fields is meant is not in its bytes; use an enum with `#[repr(u8)]`";

/// The arguments of `#[repr(...)]`.
#[derive(Default)]
pub struct Repr {
    pub is_c: bool,
    pub is_transparent: bool,
    /// `u8` to `isize`: what holds an enum.
    pub integer: Option<Ident>,
}

impl Repr {
    pub fn of(attributes: &[Attribute]) -> Result<Repr, Error> {
        let mut repr = Repr::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("repr")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("C") {
                    repr.is_c = true;
                } else if meta.path.is_ident("transparent") {
                    repr.is_transparent = true;
                } else if meta.path.is_ident("Rust") {
                    return Err(meta.error("a message needs a layout that all programs agree on: leave `repr(Rust)` out"));
                } else if meta.path.is_ident("align") || meta.path.is_ident("packed") {
                    if meta.input.peek(syn::token::Paren) {
                        let content;
                        syn::parenthesized!(content in meta.input);
                        content.parse::<Tokens>()?;
                    }
                } else {
                    repr.integer = meta.path.get_ident().cloned();
                }
                Ok(())
            })?;
        }
        Ok(repr)
    }

    /// Is the order of a struct's fields the one in which they are written?
    pub fn is_fixed(&self) -> bool {
        self.is_c || self.is_transparent
    }
}

/// An item that is to be a message.
pub struct Input<'a> {
    /// The path of the crate in the program.
    pub krate: Path,
    pub name: &'a Ident,
    pub generics: &'a Generics,
    pub repr: Repr,
}

/// The parts of the impls that differ between structs and enums.
pub struct Body {
    /// An expression: its `&'static Layout`.
    pub layout: Tokens,
    /// An expression: are the bytes at `bytes` a value?
    pub is_value: Tokens,
    /// The types of all fields.
    pub fields: Vec<Type>,
    /// May any bits be a value, if they are one of each field?
    pub is_plain: bool,
}

impl<'a> Input<'a> {
    pub fn of(item: &'a DeriveInput) -> Result<Input<'a>, Error> {
        Ok(Input { krate: krate(item)?, name: &item.ident, generics: &item.generics, repr: Repr::of(&item.attrs)? })
    }

    pub fn private(&self) -> Tokens {
        let krate = &self.krate;
        quote! { #krate::__private }
    }

    /// Writes the impls.
    pub fn implement(&self, body: &Body) -> Tokens {
        let (krate, private, name) = (&self.krate, self.private(), self.name);
        let Body { layout, is_value, fields, is_plain } = body;
        let mut generics = self.generics.clone();
        let bounds = generics.make_where_clause();
        for field in fields.iter().filter(|field| self.is_generic(field)) {
            bounds.predicates.push(parse_quote! { #field: #krate::Message });
        }
        let (parameters, arguments, bounds) = generics.split_for_impl();
        let plain = is_plain.then(|| self.implement_plain(fields, &generics));
        // Generic ones are checked when their parameters are known.
        let checked = generics.params.is_empty().then(|| {
            quote! {
                const _: &#private::Layout = <#name as #krate::Message>::LAYOUT;
            }
        });
        quote! {
            // SAFETY: `repr` fixes the layout, `LAYOUT` does not compile with padding, and each
            // field is a message.
            #[automatically_derived]
            #[allow(clippy::all, clippy::pedantic, clippy::restriction, non_upper_case_globals)]
            unsafe impl #parameters #krate::Message for #name #arguments #bounds {
                type Owned = Self;
                type Way = #private::ByValue;
                const LAYOUT: &'static #private::Layout = #layout;

                #[inline(always)]
                unsafe fn is_value(bytes: *const ::core::primitive::u8) -> ::core::primitive::bool {
                    let _ = bytes;
                    #is_value
                }
            }
            #plain
            #checked
        }
    }

    /// The impl of `Plain`, which holds if it does for each field.
    fn implement_plain(&self, fields: &[Type], generics: &Generics) -> Tokens {
        let (krate, private, name) = (&self.krate, self.private(), self.name);
        let mut later = generics.clone();
        later.params.insert(0, parse_quote! { '__shmq });
        let bounds = later.make_where_clause();
        for field in fields {
            bounds.predicates.push(parse_quote! { #private::Later<'__shmq, #field>: #private::IsPlain });
        }
        let (parameters, _, bounds) = later.split_for_impl();
        let (_, arguments, _) = generics.split_for_impl();
        quote! {
            // SAFETY: any bits are a value of each field, and nothing else is in it.
            #[automatically_derived]
            #[allow(clippy::all, clippy::pedantic, clippy::restriction)]
            unsafe impl #parameters #krate::Plain for #name #arguments #bounds {}
        }
    }

    /// Does a parameter occur in the type? Only then does the field need a bound.
    fn is_generic(&self, field: &Type) -> bool {
        let is_parameter = |ident: &Ident| {
            self.generics.params.iter().any(|parameter| match parameter {
                GenericParam::Type(parameter) => parameter.ident == *ident,
                _ => false,
            })
        };
        has_ident(field.to_token_stream(), &is_parameter)
    }
}

fn has_ident(tokens: Tokens, wanted: &dyn Fn(&Ident) -> bool) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => wanted(&ident),
        TokenTree::Group(group) => has_ident(group.stream(), wanted),
        _ => false,
    })
}

/// Impls for an item that was refused, so that its uses are no errors as well.
pub fn refused(item: &DeriveInput, error: &Error) -> Tokens {
    let error = error.to_compile_error();
    let Ok(krate) = krate(item) else { return error };
    let name = &item.ident;
    let (parameters, arguments, bounds) = item.generics.split_for_impl();
    quote! {
        #error
        unsafe impl #parameters #krate::Message for #name #arguments #bounds {
            type Owned = Self;
            type Way = #krate::__private::ByValue;
            const LAYOUT: &'static #krate::__private::Layout = <::core::primitive::u8 as #krate::Message>::LAYOUT;

            unsafe fn is_value(_: *const ::core::primitive::u8) -> ::core::primitive::bool {
                false
            }
        }
        unsafe impl #parameters #krate::Plain for #name #arguments #bounds {}
    }
}

/// The path of the crate, as the attribute wrote it.
fn krate(item: &DeriveInput) -> Result<Path, Error> {
    match item.attrs.iter().find(|attribute| attribute.path().is_ident("shmq_message")) {
        Some(attribute) => attribute.parse_args_with(Path::parse_mod_style),
        None => Err(Error::new(Span::call_site(), "write `#[shmq::message]` before the type")),
    }
}

/// The place of `spanned` with the macro's own hygiene: lints that the program denies do not apply.
pub fn at(spanned: &impl Spanned) -> Span {
    Span::mixed_site().located_at(spanned.span())
}

/// The place of a field's name, or of its type if it has none: attributes and `pub` may be lines
/// before it.
pub fn at_field(field: &Field) -> Span {
    field.ident.as_ref().map_or_else(|| at(&field.ty), at)
}

/// The name of a field in messages and schemas.
pub fn name_of(field: &Field, number: usize) -> String {
    field.ident.as_ref().map_or_else(|| number.to_string(), without_raw)
}

/// `r#type` -> `type`
pub fn without_raw(ident: &Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").map(str::to_owned).unwrap_or(name)
}

/// Refuses types that cannot be in a message, as far as their names show it.
pub fn check_field(name: &Ident, field: &Field) -> Result<(), Error> {
    let encoded = format!(
        "send `{name}` encoded, through an `ObjectQueue<{name}>` (serde's `Serialize` and `Deserialize` instead of this attribute)"
    );
    let refuse =
        |why: &str, instead: &str| Err(Error::new_spanned(&field.ty, format!("{why}, so it cannot lie in a message: {instead}")));
    match &field.ty {
        Type::Reference(_) | Type::Ptr(_) => refuse(
            "a reference or pointer leads to memory of one process",
            &format!("put what it leads to into the struct, or {encoded}"),
        ),
        Type::FnPtr(_) => refuse("a function has another address in each program", "send a number that stands for it"),
        Type::Slice(_) => refuse("a slice has no fixed size", &format!("use an array `[T; N]` and a length, or {encoded}")),
        Type::Tuple(tuple) if !tuple.elems.is_empty() => {
            refuse("the layout of a tuple is not fixed", "use a struct with `#[shmq::message]`")
        }
        Type::Path(path) if path.qself.is_none() => {
            let Some(last) = path.path.segments.last() else { return Ok(()) };
            match last.ident.to_string().as_str() {
                kind @ ("String" | "OsString" | "PathBuf" | "CString") => refuse(
                    &format!("a `{kind}` holds a pointer to memory of one process"),
                    &format!("{encoded}; or use an array of bytes such as `[u8; 32]`"),
                ),
                kind @ ("Vec" | "Box" | "Rc" | "Arc" | "VecDeque" | "HashMap" | "HashSet" | "BTreeMap" | "BTreeSet" | "Cow") => {
                    refuse(
                        &format!("a `{kind}` holds a pointer to memory of one process"),
                        &format!("{encoded}; or use an array `[T; N]` and a length"),
                    )
                }
                "Option" if !has_ident(last.arguments.to_token_stream(), &|ident| ident.to_string().starts_with("NonZero")) => {
                    refuse(
                        "the layout of an `Option` is not fixed",
                        &format!(
                            "use a flag `u8` beside the value, an enum of your own with `#[repr(u8)]`, `Option<NonZero<...>>`, or {encoded}"
                        ),
                    )
                }
                kind @ ("Duration" | "Instant" | "SystemTime") => {
                    refuse(&format!("the layout of a `{kind}` is not fixed"), "use a number, such as nanoseconds in a `u64`")
                }
                kind @ ("Cell" | "RefCell" | "UnsafeCell" | "Mutex" | "RwLock") => refuse(
                    &format!("what a `{kind}` holds changes while it is read"),
                    "a message is copied as it lies; for data that processes share, see `shmq::sync`",
                ),
                kind if kind.starts_with("Atomic") => refuse(
                    &format!("an `{kind}` changes while it is read"),
                    "use the number itself; for data that processes share, see `shmq::sync`",
                ),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// A condition that fails at `place` at compile time, with a sentence of the crate: a call of its
/// function.
pub fn assert_at(place: Span, holds: &Tokens, sentence: &Tokens) -> Tokens {
    quote_spanned! { place =>
        if !(#holds) {
            ::core::panic!("{}", #sentence.text());
        }
    }
}
