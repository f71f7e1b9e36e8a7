# fish completion of lanspread, which is asked itself what may come next.

function __lanspread_complete
    set -l words (commandline --tokenize --cut-at-cursor --current-process)
    set -l current (commandline --cut-at-cursor --current-token | string unescape)
    test -n "$current"; or set current ""
    for line in ($words[1] --complete $words[2..] $current 2>/dev/null)
        switch $line
            case ':files'
                __fish_complete_path $current
            case ':folders'
                __fish_complete_directories $current
            case '*'
                echo $line
        end
    end
end

complete --command lanspread --no-files --arguments '(__lanspread_complete)'
