//! Who the program is: the processes of its spawner are who it was at `init`.

use super::SpawnError;

/// Users and groups of a process.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rights {
    /// Real, effective and saved.
    users: [libc::uid_t; 3],
    groups: [libc::gid_t; 3],
    others: Vec<libc::gid_t>,
}

impl Rights {
    /// Those of this process.
    pub fn now() -> Rights {
        let (mut users, mut groups) = ([0; 3], [0; 3]);
        // SAFETY: room for three users and three groups, and then for as many groups as the kernel says;
        // where they become more in between, the call fails and writes nothing.
        let others = unsafe {
            let ([real, effective, saved], [real_group, effective_group, saved_group]) = (users.each_mut(), groups.each_mut());
            libc::getresuid(real, effective, saved);
            libc::getresgid(real_group, effective_group, saved_group);
            let count = libc::getgroups(0, std::ptr::null_mut()).max(0);
            let mut others = vec![0; count as usize];
            let filled = if count > 0 { libc::getgroups(count, others.as_mut_ptr()) } else { 0 };
            others.truncate(filled.max(0) as usize);
            others
        };
        Rights { users, groups, others }
    }

    /// Has this process still these?
    pub fn check(&self) -> Result<(), SpawnError> {
        if *self == Rights::now() { Ok(()) } else { Err(SpawnError::RightsChanged) }
    }
}
