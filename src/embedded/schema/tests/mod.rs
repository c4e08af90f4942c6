//! Expected texts are those that a kube-apiserver 1.36.3 gave for the same objects.
