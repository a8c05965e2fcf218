package rxe_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert/yaml"
	"github.com/stretchr/testify/require"
)

type action struct {
	Inputs  map[string]any
	Outputs map[string]struct{ Value string }
	Runs    struct {
		Steps []struct {
			ID, If, Uses, Run, Shell string
			With, Env                map[string]string
		}
	}
}

// The steps of the GitHub Action are run as GitHub runs them, with fakes of the script and the
// package tool.
func TestAction(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("action.yml")
	require.NoError(t, err)
	var a action
	require.NoError(t, yaml.Unmarshal(content, &a))
	help, err := exec.Command("./run", "--help").Output()
	require.NoError(t, err)

	folder := t.TempDir()
	apt, seen := filepath.Join(folder, "apt"), filepath.Join(folder, "seen")
	fake(t, folder, "apt-get", `echo "$@" >> "`+apt+`"`)
	fake(t, folder, "sudo", `exec "$@"`)
	fake(t, folder, "run", `case $1 in
--guest-folder) echo "/cache/a guest";;
--setup) echo "setup $RXE_WAY" > "`+seen+`";;
--way) echo guest;;
*) env > "`+seen+`"; exec "$@";;
esac`)
	given := map[string]string{"run": "echo \"$((6 * 7))\"\nfalse | true\necho not reached", "working-directory": folder}
	for name := range a.Inputs {
		if _, ok := given[name]; !ok {
			given[name] = "<" + name + ">"
		}
	}
	expression := regexp.MustCompile(`\$\{\{ *([a-z]+)\.([a-z.-]+) *\}\}`)
	outputs := map[string]string{}
	evaluate := func(text string) string {
		return expression.ReplaceAllStringFunc(text, func(e string) string {
			m := expression.FindStringSubmatch(e)
			values := outputs
			if m[1] == "inputs" {
				values = given
			}
			value, ok := values[m[2]]
			require.True(t, ok, "%s is not defined", e)
			return value
		})
	}

	var stdout string
	for i, step := range a.Runs.Steps {
		if step.Uses != "" {
			require.Equal(t, "/cache/a guest", evaluate(step.With["path"]))
			require.Regexp(t, `^rxe-guest-a guest-\d{4}-\d\d$`, evaluate(step.With["key"]))
			continue
		}
		require.Equal(t, "bash", step.Shell)
		file := filepath.Join(folder, "output")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		command := exec.Command("bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", evaluate(step.Run))
		command.Dir = folder
		command.Env = environment("PATH="+folder+":"+os.Getenv("PATH"), "GITHUB_ACTION_PATH="+folder, "GITHUB_OUTPUT="+file)
		for name, value := range step.Env {
			command.Env = append(command.Env, name+"="+evaluate(value))
			if strings.HasPrefix(name, "RXE_") {
				require.Regexp(t, `(^| )`+name+"=", string(help), "the script does not have this variable")
			}
		}
		output, err := command.Output()
		if last := i == len(a.Runs.Steps)-1; last {
			require.Error(t, err, "the step has the commands' status")
			stdout = string(output)
		} else {
			require.NoError(t, err)
		}
		lines, err := os.ReadFile(file)
		require.NoError(t, err)
		for line := range strings.Lines(string(lines)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			outputs[step.ID+".outputs."+name] = value
		}
		if step.ID == "setup" {
			content, err := os.ReadFile(seen)
			require.NoError(t, err)
			require.Equal(t, "setup <way>\n", string(content))
		}
	}
	require.Equal(t, "42\n", stdout)
	require.Equal(t, folder+"/run", evaluate(a.Outputs["run"].Value))
	require.Equal(t, "guest", evaluate(a.Outputs["way"].Value))
	installed, err := os.ReadFile(apt)
	require.NoError(t, err)
	require.Equal(t, "update -q\ninstall -q -y --no-install-recommends <packages>\n", string(installed))
	environ, err := os.ReadFile(seen)
	require.NoError(t, err)
	for name, variable := range map[string]string{"out": "RXE_OUT", "devices": "RXE_DEVICES", "way": "RXE_WAY", "timeout": "RXE_TIMEOUT", "cpus": "RXE_CPUS",
		"memory": "RXE_MEMORY", "acceleration": "RXE_ACCEL", "modules": "RXE_MODULES"} {
		require.Contains(t, strings.Split(string(environ), "\n"), variable+"=<"+name+">")
	}
}
