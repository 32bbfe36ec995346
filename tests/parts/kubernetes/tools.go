//go:build tools

// Package tools names the programs that the tests build from Kubernetes' own modules, so that go.mod and go.sum pin them.
package tools

import _ "k8s.io/kubernetes/cmd/kube-apiserver"
