// cert-manager runs, in one process, the loops of cert-manager's module that make certificates by a
// CA and that tell the API server of one. Its own main programs lie in modules of their own, which
// not every registry has.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/cert-manager/cert-manager/pkg/controller"
	"github.com/cert-manager/cert-manager/pkg/controller/cainjector"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/ca"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/selfsigned"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	_ "github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	_ "github.com/cert-manager/cert-manager/pkg/controller/issuers"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned"
	core "k8s.io/api/core/v1"
	"k8s.io/klog/v2"
	manager "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const (
	module  = "github.com/cert-manager/cert-manager"
	workers = 2
)

func main() {
	// Of our own: packages of others put theirs into the common one.
	flags := flag.NewFlagSet("cert-manager", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "the cluster: its current context")
	version := flags.Bool("version", false, "print cert-manager's version and end")
	flags.Parse(os.Args[1:])
	if *version {
		fmt.Println(versionOf(module))
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *kubeconfig); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func versionOf(path string) string {
	built, _ := debug.ReadBuildInfo()
	for _, one := range built.Deps {
		if one.Path == path {
			return one.Version
		}
	}
	return "none"
}

func run(ctx context.Context, kubeconfig string) error {
	if kubeconfig == "" {
		return errors.New("say --kubeconfig: no cluster is guessed")
	}
	manager.SetLogger(klog.Background())
	contexts, err := controller.NewContextFactory(ctx, controller.ContextOptions{
		Kubeconfig: kubeconfig,
		CertificateOptions: controller.CertificateOptions{
			CertificateRequestMinimumBackoffDuration: time.Hour,
			CertificateRequestMaximumBackoffDuration: 32 * time.Hour,
		},
	})
	if err != nil {
		return err
	}
	shared, err := contexts.Build()
	if err != nil {
		return err
	}
	injector, err := injectorOf(ctx, shared)
	if err != nil {
		return err
	}
	ended := make(chan error)
	for name, build := range controller.Known() {
		loop, err := build(contexts)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		go func() { ended <- loop.Run(workers, ctx) }()
	}
	go func() { ended <- injector.Start(ctx) }()
	// What they watch is known only once all of them are made.
	shared.SharedInformerFactory.Start(ctx.Done())
	shared.KubeSharedInformerFactory.Start(ctx.Done())
	return <-ended
}

// injectorOf makes the loop that writes CAs into webhooks that ask for it.
func injectorOf(ctx context.Context, shared *controller.Context) (manager.Manager, error) {
	made, err := manager.NewManager(shared.RESTConfig, manager.Options{
		Scheme: shared.Scheme,
		// It watches no more of a Secret than its metadata.
		Client:  client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&core.Secret{}}}},
		Metrics: server.Options{BindAddress: "0"},
	})
	if err != nil {
		return nil, err
	}
	return made, cainjector.RegisterAllInjectors(ctx, made, cainjector.SetupOptions{
		EnableCertificatesDataSource: true,
		EnabledReconcilersFor:        map[string]bool{cainjector.MutatingWebhookConfigurationName: true},
	})
}
