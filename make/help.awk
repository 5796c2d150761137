# What `make help` prints of the makefiles: targets by what a user does first, then variables. A target is a line
# `name: … ## 2.3 text`: its group (the titles below) and its place there; one without a place stands at the very end.
# A variable is a line `NAME ?= …## text`, or `NAME = …` where the environment does not count.
BEGIN {
    groups = split("Start;Your tickets;Look at a run, and keep order;The student;Measure;Develop;Also", titles, ";")
}
/^[a-z][a-z_-]*:.*## / {
    target = text = $0
    sub(/:.*/, "", target)
    sub(/.*:.*## /, "", text)
    place = text ~ /^[1-9][.][1-9] / ? substr(text, 1, 3) : groups ".1"
    sub(/^[1-9][.][1-9] /, "", text)
    targets[place] = targets[place] sprintf("  %-18s %s\n", target, text)
}
/^[A-Z_]+ [?]?=.*##/ {
    variable = text = $0
    sub(/ .*/, "", variable)
    sub(/.*## ?/, "", text)
    variables = variables sprintf("  %-18s %s\n", variable, text)
}
END {
    for (group = 1; group <= groups; group++) {
        lines = ""
        for (at = 1; at <= 9; at++) lines = lines targets[group "." at]
        if (lines != "") printf "\n%s\n%s", titles[group], lines
    }
    printf "\nWhat a command is told: make TARGET NAME=value\n%s", variables
}
