//! Errors whose text says all, once.
//!
//! A caller that prints an error with its chain of sources would read twice what both the text of
//! an error and its source say; one that prints the error alone would miss what only the source
//! says. So the text holds what the system or the codec said, and the error is the end of its
//! chain. The value itself is a field of the variant.

/// Defines an enum of errors: the text of each variant stands before it, as for `thiserror`, and may
/// name its fields (or `{0}`); none of them is a source.
macro_rules! told_once {
    (
        $(#[$about:meta])*
        pub enum $name:ident {$(
            $(#[doc = $doc:literal])*
            #[error($($text:tt)+)]
            $variant:ident
                $({ $($(#[doc = $field_doc:literal])* $field:ident: $type:ty),* $(,)? })?
                $(($inner:ty))?
        ),* $(,)?}
    ) => {
        $(#[$about])*
        pub enum $name {$(
            $(#[doc = $doc])*
            $variant $({ $($(#[doc = $field_doc])* $field: $type),* })? $(($inner))?
        ),*}

        impl std::fmt::Display for $name {
            #[allow(unused_variables, reason = "not each text names each field")]
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self {$(
                    crate::error::told_once!(@pattern $variant $({ $($field),* })? $(($inner))? => inner) => {
                        crate::error::told_once!(@write out, [$($text)+] $(($inner) inner)?)
                    }
                ),*}
            }
        }

        impl std::error::Error for $name {}
    };
    (@pattern $variant:ident => $bound:ident) => { Self::$variant };
    (@pattern $variant:ident { $($field:ident),* } => $bound:ident) => { Self::$variant { $($field),* } };
    (@pattern $variant:ident ($inner:ty) => $bound:ident) => { Self::$variant($bound) };
    (@write $out:ident, [$($text:tt)+]) => { write!($out, $($text)+) };
    (@write $out:ident, [$($text:tt)+] ($inner:ty) $bound:ident) => { write!($out, $($text)+, $bound) };
}

pub(crate) use told_once;
