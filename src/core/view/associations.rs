//! What ties resources of Kafka clusters to subjects.

use std::collections::BTreeMap;

use super::AssociationView;
use super::Origin;
use super::Stamp;
use super::View;
use crate::core::key::Association;
use crate::core::value::AssociationValue;

impl View {
    /// All associations of the registry, whatever their context.
    #[must_use]
    pub fn associations(&self) -> &BTreeMap<Association, AssociationView> {
        &self.associations
    }

    pub(super) fn tie(&mut self, key: &Association, said: Option<AssociationValue>, stamp: Stamp) {
        match said {
            Some(value) => {
                self.associations.insert(key.clone(), AssociationView { stamp, value });
            }
            None => {
                self.associations.remove(key);
            }
        }
    }

    pub(super) fn take_over_association(&mut self, key: &Association) {
        if let Some(held) = self.associations.get_mut(key)
            && !held.stamp.origin.is_own()
        {
            held.stamp.origin = Origin::Alike;
        }
    }
}
