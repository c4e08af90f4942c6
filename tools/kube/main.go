// One program that is, by the name it is started under, kube-apiserver,
// kube-controller-manager, etcd or kubectl: a real Kubernetes control plane for
// tests and for the demo, built from source with nothing but a Go toolchain.
// One binary instead of four needs half the disk and one link.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	_ "time/tzdata" // the controller manager knows time zones without a tzdata package

	"go.etcd.io/etcd/server/v3/etcdmain"
	_ "k8s.io/client-go/plugin/pkg/client/auth"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

// exitOnStdinEOF makes a server end with the process that started it. The
// parent keeps the other end of the pipe open; however the parent dies, even by
// SIGKILL, the kernel closes that end and the server exits.
const exitOnStdinEOF = "IBMICLONE_EXIT_ON_STDIN_EOF"

func main() {
	switch name := filepath.Base(os.Args[0]); name {
	case "kube-apiserver":
		followParent()
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "kube-controller-manager":
		followParent()
		os.Exit(cli.Run(controllermanager.NewControllerManagerCommand()))
	case "etcd":
		followParent()
		etcdmain.Main(os.Args)
	case "kubectl":
		// kubectl reads manifests from stdin, so it never watches its parent.
		logs.GlogSetter(kubectl.GetLogVerbosity(os.Args)) //nolint:errcheck // as in kubectl itself
		if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
			util.CheckErr(err)
		}
	default:
		fmt.Fprintf(os.Stderr, "%s: start me as kube-apiserver, kube-controller-manager, etcd or kubectl\n", name)
		os.Exit(2)
	}
}

// followParent exits the process at the end of stdin, if it was asked to.
func followParent() {
	if os.Getenv(exitOnStdinEOF) != "1" {
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
}
