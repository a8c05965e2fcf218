package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of rfaas",
		Long: `version prints the version of rfaas, the commit that it was built from, the Go
version and the platform.`,
		Example: "  rfaas version",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), versionOfThis())
			return err
		},
	}
}

// versionOfThis describes this build.
func versionOfThis() string {
	info, _ := debug.ReadBuildInfo()
	return versionText(info)
}

// versionText describes a build. info is nil for a build without modules.
func versionText(info *debug.BuildInfo) string {
	version, commit := "(devel)", "commit unknown"
	if info != nil {
		if info.Main.Version != "" {
			version = info.Main.Version
		}
		settings := map[string]string{}
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
		if revision := settings["vcs.revision"]; revision != "" {
			commit = "commit " + revision[:min(len(revision), 12)]
			if at := settings["vcs.time"]; at != "" {
				commit += " of " + at
			}
			if settings["vcs.modified"] == "true" {
				commit += ", modified"
			}
		}
	}
	return fmt.Sprintf("rfaas %s (%s), %s, %s/%s", version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// versionNumber is the version alone.
func versionNumber() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
