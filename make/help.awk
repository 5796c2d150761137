# What `make help` prints of the makefiles: a line a target, `name: … ## text`, then a line a variable, `NAME ?= …## text`.
/^[a-z][a-z_-]*:.*## / {
    target = text = $0
    sub(/:.*/, "", target)
    sub(/.*:.*## /, "", text)
    printf "  %-18s %s\n", target, text
}
/^[A-Z_]+ [?]=.*##/ {
    variable = text = $0
    sub(/ .*/, "", variable)
    sub(/.*## ?/, "", text)
    variables = variables sprintf("  %-18s %s\n", variable, text)
}
END { printf "\n%s", variables }
