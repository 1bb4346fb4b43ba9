//! Users and groups of a process.

/// Those that decide what a process may do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Credentials {
    /// Real, effective and saved.
    users: [libc::uid_t; 3],
    groups: [libc::gid_t; 3],
    supplementary: Vec<libc::gid_t>,
}

impl Credentials {
    /// Those of this process.
    pub fn now() -> Credentials {
        let (mut users, mut groups) = ([0; 3], [0; 3]);
        // SAFETY: room for three users and three groups, and then for as many groups as the kernel
        // says; if they become more in between, the call fails and writes nothing.
        let supplementary = unsafe {
            let ([real, effective, saved], [real_group, effective_group, saved_group]) = (users.each_mut(), groups.each_mut());
            libc::getresuid(real, effective, saved);
            libc::getresgid(real_group, effective_group, saved_group);
            let count = libc::getgroups(0, std::ptr::null_mut()).max(0);
            let mut supplementary = vec![0; count as usize];
            let filled = if count > 0 { libc::getgroups(count, supplementary.as_mut_ptr()) } else { 0 };
            supplementary.truncate(filled.max(0) as usize);
            supplementary
        };
        Credentials { users, groups, supplementary }
    }
}
