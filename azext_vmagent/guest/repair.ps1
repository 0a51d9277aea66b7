param([string]$program = '', [string]$watchdog = '', [string]$attempt = '')
# The Windows twin of repair.sh: carries out one plan in this guest. Precheck, back up, apply, verify, and undo what did
# not take.
#
# Wants an administrator or SYSTEM; Windows PowerShell 4.0, the modules of Server 2012 R2. Never tried on Windows.
# $program is this whole text, kept for the watchdog, which gives $watchdog and $attempt when it calls.
# The plan stands in $data: `plan ID WATCHDOG_SECONDS` or `undo last 0`; `action`, then base64 of its kind and of each
# argument. They are compared or passed as arguments, never made part of a command's text.
# %ProgramData%\azure-vmagent (SYSTEM and Administrators): lock, last, repairs\ID: plan, program.ps1, state, before, N.*
# Answers as repair.sh does. What an action returns: 0 ok, 1 failed, 2 no longer as in the plan, 3 nothing to do.
# What Say prints must not be caught: whoever calls it returns nothing, and leaves its result in $run.

$data = @()
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$WarningPreference = 'SilentlyContinue'
$wire = '168.63.129.16'
$base = "$env:ProgramData\azure-vmagent"
$tasks = '\azure-vmagent\'
$services = 'HKLM:\SYSTEM\CurrentControlSet\Services'
$firewall = "$services\SharedAccess\Parameters\FirewallPolicy"
$policy = 'HKLM:\SOFTWARE\Policies\Microsoft\WindowsFirewall'
$ours = 'AzureWireServer'
$actions = @{}
$run = @{
    clock = [System.Diagnostics.Stopwatch]::StartNew()
    said = ''; detail = ''; result = ''; code = 0; dir = ''; name = ''; generation = 0; seconds = 0; better = $false
}

# One line of the answer: printable, too short for a console to break.
function Say($text) {
    $line = "$text" -replace '[^\x20-\x7e]+', ' '
    if ($line.Length -gt 58) { $line = $line.Substring(0, 58) }
    $line = $line.TrimEnd()
    $run.said += "$line`n"
    Write-Output $line
}

# POSIX cksum: the CRC of the text and of its length.
function Get-Sum($text) {
    $bytes = @([System.Text.Encoding]::ASCII.GetBytes($text))
    $length = $bytes.Length
    while ($length -gt 0) {
        $bytes += $length -band 255
        $length = $length -shr 8
    }
    [long]$sum = 0
    foreach ($byte in $bytes) {
        $sum = $sum -bxor ([long]$byte -shl 24)
        for ($bit = 0; $bit -lt 8; $bit += 1) {
            $high = $sum -band 2147483648
            $sum = ($sum -shl 1) -band 4294967295
            if ($high -ne 0) { $sum = $sum -bxor 79764919 }
        }
    }
    return 4294967295 - $sum
}

function Add-Mark($text) { Add-Content -LiteralPath "$($run.dir)\state" -Value $text -Encoding Ascii }

function Get-Mark { return @(Get-Lines "$($run.dir)\state") }

function Test-Mark($text) { return (Get-Mark) -ccontains $text }

function Get-Lines($path) {
    if (Test-Path -LiteralPath $path) { return @(Get-Content -LiteralPath $path -Encoding UTF8) }
    return @()
}

function Save-Lines($path, $lines) { Set-Content -LiteralPath $path -Value $lines -Encoding UTF8 }

# The plan's lines into $actions, by number.
function Read-Plan($lines) {
    $actions.Clear()
    $count = 0
    foreach ($line in $lines) {
        if ($line -ceq 'action') {
            $count += 1
            $actions[$count] = @()
        }
        elseif ($count -gt 0) {
            $actions[$count] += [System.Text.Encoding]::UTF8.GetString([System.Convert]::FromBase64String($line))
        }
    }
}

function Get-Numbers { return @($actions.Keys | Sort-Object) }

function Test-Network($n) { return @('disable-rule', 'allow-rule', 'dhcp-on') -ccontains $actions[$n][0] }

function Get-NetworkNumbers { foreach ($n in Get-Numbers) { if (Test-Network $n) { Write-Output $n } } }

# --- what Windows is asked ------------------------------------------------------------------------------------------

# null where there is no such key or value
function Get-Setting($key, $name) {
    if (-not (Test-Path -LiteralPath $key)) { return $null }
    return (Get-Item -LiteralPath $key).GetValue($name)
}

# A rule as the probe shows it: without its description, printable.
function Get-Plain($rule) {
    $rule = "$rule" -replace '\|(Desc|EmbedCtxt)=[^|]*', ''
    return ($rule -replace '[^\x20-\x7e]+', ' ').Trim()
}

# Every rule of every store and what the profiles do by default, one a line, sorted.
function Get-Rules {
    $found = @()
    foreach ($key in @("$firewall\FirewallRules", "$policy\FirewallRules", "$firewall\Mdm\FirewallRules",
            "$firewall\DomainProfile", "$firewall\StandardProfile", "$firewall\PublicProfile")) {
        if (-not (Test-Path -LiteralPath $key)) { continue }
        $item = Get-Item -LiteralPath $key
        foreach ($name in $item.GetValueNames()) {
            $parts = @($key, $name, $item.GetValue($name) | ForEach-Object { "$_" -replace '[\t\r\n]', ' ' })
            $found += $parts -join "`t"
        }
    }
    return @($found | Sort-Object -CaseSensitive)
}

# HTTP status of the Wire Server on this port, or none. The agent's own filters let administrators and SYSTEM through.
function Get-Status($port) {
    $path = '/versions'
    if ($port -eq 80) { $path = '/?comp=versions' }
    $client = New-Object -TypeName System.Net.Sockets.TcpClient
    try {
        $waiting = $client.BeginConnect($wire, $port, $null, $null)
        if (-not $waiting.AsyncWaitHandle.WaitOne(3000)) { return 'none' }
        $client.EndConnect($waiting)
        $stream = $client.GetStream()
        $stream.ReadTimeout = 3000
        $words = "GET $path HTTP/1.1`r`nHost: $wire`r`nConnection: close`r`n`r`n"
        $request = [System.Text.Encoding]::ASCII.GetBytes($words)
        $stream.Write($request, 0, $request.Length)
        $buffer = New-Object -TypeName 'System.Byte[]' -ArgumentList 64
        $head = [System.Text.Encoding]::ASCII.GetString($buffer, 0, $stream.Read($buffer, 0, 64))
        if ($head -match '^HTTP/\S+ ([1-5]\d\d)') { return $Matches[1] }
        return 'none'
    }
    catch { return 'none' }
    finally { $client.Close() }
}

# Both ports, each tried so many times.
function Get-Reach($tries) {
    $found = @{}
    foreach ($port in @(80, 32526)) {
        for ($try = 1; $try -le $tries; $try += 1) {
            if ($try -gt 1) { Start-Sleep -Seconds 1 }
            $found["$port"] = Get-Status $port
            if ($found["$port"] -ne 'none') { break }
        }
    }
    return $found
}

function Test-Answers {
    $now = Get-Reach 1
    return ($now['80'] -ne 'none') -and ($now['32526'] -ne 'none')
}

# --- the actions ----------------------------------------------------------------------------------------------------

# automatic-start, start-service: SERVICE
function Invoke-ServiceAction($phase, $n, $kind, $name) {
    if (@('RdAgent', 'WindowsAzureGuestAgent') -cnotcontains $name) {
        $run.detail = 'not a service of the agent'
        return 1
    }
    $start = Get-Setting "$services\$name" 'Start'
    if ($null -eq $start) {
        $run.detail = 'there is no such service'
        if ($phase -eq 'undo') { return 3 }
        return 2
    }
    if ($kind -eq 'automatic-start') { return Invoke-Automatic $phase $n $name $start }
    $state = "$((Get-Service -Name $name).Status)"
    if ($phase -eq 'precheck') {
        if ($state -eq 'Running') {
            $run.detail = 'it runs'
            return 3
        }
        if ($state -ne 'Stopped') {
            $run.detail = "it is $state"
            return 2
        }
    }
    if ($phase -eq 'apply') { (Get-Service -Name $name).Start() }
    if ($phase -eq 'verify') {
        for ($second = 0; $second -lt 30; $second += 1) {
            if ("$((Get-Service -Name $name).Status)" -eq 'Running') { break }
            Start-Sleep -Seconds 1
        }
        Start-Sleep -Seconds 5
        $state = "$((Get-Service -Name $name).Status)"
        if ($state -ne 'Running') {
            $run.detail = "it is $state"
            return 1
        }
    }
    if ($phase -eq 'undo') {
        $run.detail = 'a service that runs is not stopped'
        return 3
    }
    return 0
}

function Invoke-Automatic($phase, $n, $name, $start) {
    $kept = "$($run.dir)\$n.start"
    if ($phase -eq 'precheck' -and $start -eq 2) {
        $run.detail = 'already so'
        return 3
    }
    if ($phase -eq 'backup') { Save-Lines $kept "$start" }
    if ($phase -eq 'apply') { Set-Service -Name $name -StartupType Automatic }
    if ($phase -eq 'verify' -and $start -ne 2) { return 1 }
    if ($phase -eq 'undo') {
        $was = @(Get-Lines $kept)[0]
        if ($start -ne 2 -or $was -notmatch '^[34]$') {
            $run.detail = 'it was changed since'
            return 3
        }
        if ($was -eq '3') { Set-Service -Name $name -StartupType Manual }
        else { Set-Service -Name $name -StartupType Disabled }
    }
    return 0
}

# disable-rule: ID TEXT agent|all; agent: the rule is for the agent's program alone, and our own test passes it by.
# Switched off and not deleted: so it can be put back exactly. Both names of a rule take wildcards.
function Invoke-Rule($phase, $n, $id, $text, $whom) {
    $kept = "$($run.dir)\$n.rule"
    if ($id -eq '' -or $id -match '[*?\[\]`]') {
        $run.detail = 'a rule of this name is left alone'
        return 1
    }
    $found = Get-Setting "$firewall\FirewallRules" $id
    $now = Get-Plain $found
    $off = $text.Replace('|Active=TRUE|', '|Active=FALSE|')
    if ($phase -eq 'precheck') {
        if ($null -eq $found) {
            $run.detail = 'it is gone'
            return 3
        }
        if ($now -ceq $off) {
            $run.detail = 'it is off'
            return 3
        }
        if ($now -cne $text) {
            $run.detail = 'it reads otherwise now'
            return 2
        }
        if ($whom -ne 'agent' -and (Test-Answers)) {
            $run.detail = 'it stops nothing'
            return 3
        }
    }
    if ($phase -eq 'backup') { Save-Lines $kept "$found" }
    if ($phase -eq 'apply') {
        if ($now -cne $text) { return 2 }
        Disable-NetFirewallRule -PolicyStore PersistentStore -Name $id
    }
    if ($phase -eq 'verify' -and $now -notlike '*|Active=FALSE|*') { return 1 }
    if ($phase -eq 'undo') {
        if ($now -like '*|Active=TRUE|*') {
            $run.detail = 'it is on'
            return 3
        }
        if ($null -eq $found) {
            $run.detail = 'it is gone; its text is in the backup'
            return 1
        }
        Enable-NetFirewallRule -PolicyStore PersistentStore -Name $id
    }
    return 0
}

# allow-rule: PROFILE (DomainProfile, StandardProfile, PublicProfile), which blocks what no rule allows
function Invoke-Allow($phase, $n, $name) {
    $kept = "$($run.dir)\$n.rule"
    if (@('DomainProfile', 'StandardProfile', 'PublicProfile') -cnotcontains $name) { return 1 }
    $found = Get-Setting "$firewall\FirewallRules" $ours
    if ($phase -eq 'precheck') {
        if (Test-Answers) {
            $run.detail = 'the Wire Server answers'
            return 3
        }
        $closed = Get-Setting "$firewall\$name" 'DefaultOutboundAction'
        if ($closed -ne 1 -or (Get-Setting "$firewall\$name" 'EnableFirewall') -eq 0) {
            $run.detail = 'the profile is not as in the plan'
            return 2
        }
        if ($null -ne $found) {
            $run.detail = "there is another rule $ours"
            return 2
        }
    }
    if ($phase -eq 'apply') {
        $rule = @{
            PolicyStore = 'PersistentStore'; Name = $ours; DisplayName = 'Azure Wire Server'; Direction = 'Outbound'
            Action = 'Allow'; Protocol = 'TCP'; RemoteAddress = $wire; RemotePort = @('80', '32526')
        }
        $null = New-NetFirewallRule @rule
        Save-Lines $kept "$(Get-Setting "$firewall\FirewallRules" $ours)"
    }
    if ($phase -eq 'verify' -and $null -eq $found) { return 1 }
    if ($phase -eq 'undo') {
        if ($null -eq $found) {
            $run.detail = 'it is gone'
            return 3
        }
        if ((Test-Path -LiteralPath $kept) -and @(Get-Lines $kept)[0] -cne "$found") {
            $run.detail = 'it was changed since'
            return 1
        }
        Remove-NetFirewallRule -PolicyStore PersistentStore -Name $ours
    }
    return 0
}

# dhcp-on: MAC ADDRESS; the one address, entered by hand, is given up for what DHCP gives. Name servers stay.
function Invoke-Dhcp($phase, $n, $mac, $address) {
    $kept = "$($run.dir)\$n.address"
    if ($mac -notmatch '^[0-9A-F]{2}(-[0-9A-F]{2}){5}$') { return 1 }
    $adapters = @(Get-NetAdapter | Where-Object { $_.MacAddress -eq $mac })
    if ($adapters.Count -ne 1) {
        $run.detail = 'there is not one such adapter'
        return 2
    }
    $index = [int]$adapters[0].ifIndex
    $key = "$services\Tcpip\Parameters\Interfaces\$($adapters[0].InterfaceGuid)"
    $dhcp = Get-Setting $key 'EnableDHCP'
    $held = @(Get-Setting $key 'IPAddress')
    if ($phase -eq 'precheck') {
        if ($dhcp -eq 1) {
            $run.detail = 'already so'
            return 3
        }
        if ($dhcp -ne 0 -or $held.Count -ne 1 -or $held[0] -cne $address) {
            $run.detail = 'its address is not as in the plan'
            return 2
        }
    }
    if ($phase -eq 'backup') {
        $gateway = @(@(Get-Setting $key 'DefaultGateway') + @(''))[0]
        Save-Lines $kept @($held[0], @(Get-Setting $key 'SubnetMask')[0], "$gateway")
    }
    if ($phase -eq 'apply') {
        $null = netsh.exe interface ipv4 set address "name=$index" source=dhcp
    }
    if ($phase -eq 'verify') {
        for ($second = 0; $second -lt 30; $second += 1) {
            $given = @(Get-NetIPAddress -InterfaceIndex $index -AddressFamily IPv4 -ErrorAction SilentlyContinue |
                Where-Object { $_.IPAddress -notlike '169.254.*' })
            if ($dhcp -eq 1 -and $given.Count -gt 0) { return 0 }
            Start-Sleep -Seconds 1
            $dhcp = Get-Setting $key 'EnableDHCP'
        }
        $run.detail = 'no address after 30 s'
        return 1
    }
    if ($phase -eq 'undo') {
        if ($dhcp -eq 0) {
            $run.detail = 'it has an address entered by hand'
            return 3
        }
        $was = @(Get-Lines $kept)
        foreach ($part in $was) { if ($part -notmatch '^(\d{1,3}(\.\d{1,3}){3})?$') { return 1 } }
        $words = @("name=$index", 'source=static', "address=$($was[0])", "mask=$($was[1])")
        if ($was[2]) { $words += "gateway=$($was[2])" }
        $null = netsh.exe interface ipv4 set address @words
        if ((Get-Setting $key 'EnableDHCP') -ne 0) { return 1 }
    }
    return 0
}

function Invoke-Act($phase, $n) {
    $run.detail = ''
    $kind, $words = $actions[$n]
    $words = @($words)
    $code = 1
    try {
        if (@($words | Where-Object { $_ -match '[^\x20-\x7e]' }).Count -gt 0) { $run.detail = 'not printable' }
        elseif ($kind -ceq 'automatic-start' -or $kind -ceq 'start-service') {
            $code = Invoke-ServiceAction $phase $n $kind $words[0]
        }
        elseif ($kind -ceq 'disable-rule') { $code = Invoke-Rule $phase $n $words[0] $words[1] $words[2] }
        elseif ($kind -ceq 'allow-rule') { $code = Invoke-Allow $phase $n $words[0] }
        elseif ($kind -ceq 'dhcp-on') { $code = Invoke-Dhcp $phase $n $words[0] $words[1] }
        else { $run.detail = 'no such action' }
    }
    catch {
        $run.detail = "$($_.Exception.Message)"
        $code = 1
    }
    return @($code)[-1]
}

# --- the watchdog ---------------------------------------------------------------------------------------------------
# Whoever makes the folder settled.GENERATION first decides: the program keeps the change, or the watchdog reverts it.

function Test-Settled($generation) {
    try { $null = New-Item -ItemType Directory -Path "$($run.dir)\settled.$generation" }
    catch { return $false }
    return $true
}

function Start-Watchdog {
    $run.generation = 1
    while (Test-Path -LiteralPath "$($run.dir)\armed.$($run.generation)") { $run.generation += 1 }
    $null = New-Item -ItemType File -Path "$($run.dir)\armed.$($run.generation)"
    $read = "[System.IO.File]::ReadAllText('$($run.dir)\program.ps1')"
    $call = "& ([scriptblock]::Create($read)) '' $($run.generation) $($run.name)"
    $words = "-NoProfile -NonInteractive -Command `"$call`""
    $shell = "$env:SystemRoot\System32\WindowsPowerShell\v1.0\powershell.exe"
    $task = @{
        TaskPath = $tasks; TaskName = "$($run.name)-$($run.generation)"
        Action = New-ScheduledTaskAction -Execute $shell -Argument $words
        Trigger = New-ScheduledTaskTrigger -Once -At ((Get-Date).AddSeconds($run.seconds))
        Settings = New-ScheduledTaskSettingsSet -StartWhenAvailable -AllowStartIfOnBatteries
        Principal = New-ScheduledTaskPrincipal -UserId 'S-1-5-18' -LogonType ServiceAccount -RunLevel Highest
    }
    $null = Register-ScheduledTask @task
}

function Stop-Watchdog($generation) {
    $task = @{ TaskPath = $tasks; TaskName = "$($run.name)-$generation" }
    Unregister-ScheduledTask @task -Confirm:$false -ErrorAction SilentlyContinue
}

function Invoke-Watchdog {
    if (Test-Settled $watchdog) {
        Add-Mark 'reverting'
        $null = Undo-Actions @(Get-NetworkNumbers)
        Add-Mark 'reverted'
    }
    Stop-Watchdog $watchdog
}

# --- the whole ------------------------------------------------------------------------------------------------------

# Takes those actions back that were begun, the last one first; $run.code is 1 when one did not go back.
function Undo-Actions($numbers) {
    $run.code = 0
    foreach ($n in @($numbers | Sort-Object -Descending)) {
        if (-not (Test-Mark "applying $n") -or (Test-Mark "undone $n")) { continue }
        $code = Invoke-Act 'undo' $n
        if ($code -eq 0 -or $code -eq 3) {
            Add-Mark "undone $n"
            Say "step $n undo $(@{ 0 = 'ok'; 3 = 'skipped' }[$code]) $($run.detail)"
        }
        else {
            $run.code = 1
            Say "step $n undo failed $($run.detail)"
        }
    }
}

# One phase of every action that is to do, in order, up to the first that fails; its code is left in $run.code.
function Invoke-Phase($phase, $numbers) {
    $run.code = 0
    foreach ($n in $numbers) {
        if ($phase -eq 'apply') {
            $code = Invoke-Act 'precheck' $n
            if ($code -eq 3 -and (Test-Mark "applying $n")) {
                Add-Mark "applied $n"
                continue
            }
            if ($code -eq 0) {
                Add-Mark "applying $n"
                $code = Invoke-Act 'apply' $n
            }
        }
        else { $code = Invoke-Act $phase $n }
        Say "step $n $phase $(@('ok', 'failed', 'changed', 'skipped')[$code]) $($run.detail)"
        if ($code -eq 1 -or $code -eq 2) {
            $run.code = $code
            return
        }
        if ($phase -eq 'apply' -and $code -eq 0) { Add-Mark "applied $n" }
    }
}

function Compare-Others($changed) {
    $texts = @()
    foreach ($lines in @{ of = Get-Lines "$($run.dir)\before" }, @{ of = Get-Rules }) {
        $texts += @($lines.of | Where-Object {
                $parts = $_.Split("`t")
                -not ($parts[0] -eq "$firewall\FirewallRules" -and $changed -ccontains $parts[1]) }) -join "`n"
    }
    if ($texts[0] -ceq $texts[1]) { Say 'other-rules same' } else { Say 'other-rules differ' }
}

# The ids of the rules that this plan's begun actions change.
function Get-Changed {
    foreach ($n in Get-NetworkNumbers) {
        if (-not (Test-Mark "applying $n")) { continue }
        if ($actions[$n][0] -eq 'disable-rule') { Write-Output $actions[$n][1] }
        if ($actions[$n][0] -eq 'allow-rule') { Write-Output $ours }
    }
}

function Test-Ended {
    foreach ($word in @('verified', 'kept', 'failed', 'undone', 'reverted')) { if (Test-Mark $word) { return $true } }
    return $false
}

# The attempt before this one, when there was one.
function Get-Last {
    $last = "$(@(Get-Lines "$base\last")[0])"
    if ($last -match '^[A-Za-z0-9][A-Za-z0-9.-]*$' -and (Test-Path -LiteralPath "$base\repairs\$last")) { return $last }
    return ''
}

# An attempt that was killed: its watchdog must not act any more. Where it had begun to, what it left is reverted here.
# A change of another plan stays where the Wire Server answers now, and is taken back where it does not.
function Resolve-Unfinished($last, $id) {
    $generation = 1
    while (Test-Path -LiteralPath "$($run.dir)\armed.$generation") {
        $free = Test-Settled $generation
        Stop-Watchdog $generation
        $generation += 1
        if (-not $free -and (Test-Mark 'reverting') -and -not (Test-Ended)) {
            Undo-Actions @(Get-NetworkNumbers)
            Add-Mark 'reverted'
        }
    }
    if ((Test-Ended) -or $last -eq $id -or $last.StartsWith("$id.")) { return }
    if (Test-Answers) { Add-Mark 'kept' }
    else {
        Undo-Actions @(Get-NetworkNumbers)
        Add-Mark 'reverted'
    }
    Say "earlier $last $(@(Get-Mark)[-1])"
}

# Where this attempt is kept: beside an ended one of the same plan, or in the folder of one that was killed.
function Open-Attempt($id) {
    $run.name = $id
    $last = Get-Last
    if ($last) {
        $run.dir = "$base\repairs\$last"
        Read-Plan (Get-Lines "$($run.dir)\plan")
        if (-not (Test-Ended)) {
            Resolve-Unfinished $last $id
            if ($last -eq $id -or $last.StartsWith("$id.")) { $run.name = $last }
        }
    }
    $run.dir = "$base\repairs\$($run.name)"
    $tries = 1
    while (Test-Ended) {
        $tries += 1
        $run.name = "$id.$tries"
        $run.dir = "$base\repairs\$id.$tries"
    }
    $null = New-Item -ItemType Directory -Force -Path $run.dir
    Save-Lines "$($run.dir)\plan" $data
    Set-Content -LiteralPath "$($run.dir)\program.ps1" -Value $program -Encoding Ascii
    Read-Plan $data
}

# Nothing is changed before every action was looked at and everything is saved.
function Invoke-Plan($id) {
    Open-Attempt $id
    Say "repair $($run.name)"
    $network = @(Get-NetworkNumbers)
    $before = @{}
    if ($network.Count -gt 0) { $before = Get-Reach 1 }
    $todo = @()
    $bad = 0
    foreach ($n in Get-Numbers) {
        $code = Invoke-Act 'precheck' $n
        if ($code -eq 0 -or ($code -eq 3 -and (Test-Mark "applying $n"))) { $todo += $n }
        Say "step $n precheck $(@('ok', 'failed', 'changed', 'skipped')[$code]) $($run.detail)"
        if ($code -eq 2 -or ($code -eq 1 -and $bad -eq 0)) { $bad = $code }
    }
    $begun = @(Get-Mark | Where-Object { $_ -like 'applying *' }).Count -gt 0
    if ($bad -ne 0 -or $todo.Count -eq 0) {
        if ($bad -ne 0 -and $before.Values -contains 'none') { Undo-Actions $network }
        if ($bad -ne 0) { Add-Mark 'failed' }
        if (-not $begun) { Remove-Item -LiteralPath $run.dir -Recurse -Force }
        $run.result = @('nothing-to-do', 'failed', 'changed')[$bad]
        return
    }
    Add-Mark 'prechecked'
    if (-not (Test-Mark 'backed-up')) {
        Save-Lines "$($run.dir)\before" (Get-Rules)
        Invoke-Phase 'backup' $todo
        if ($run.code -ne 0) {
            Add-Mark 'failed'
            $run.result = 'failed'
            return
        }
        Add-Mark 'backed-up'
    }
    Save-Lines "$base\last" $run.name
    if ($network.Count -gt 0) { Start-Watchdog }
    Invoke-Phase 'apply' $todo
    if ($run.code -eq 0) { Invoke-Phase 'verify' $todo }
    if ($network.Count -gt 0) { Confirm-Network $network $before }
    if ($run.result) { return }
    $run.result = @('applied', 'failed', 'changed')[$run.code]
    if ($run.code -eq 0) { Add-Mark 'verified' } else { Add-Mark 'failed' }
}

# A change to the network is kept where it took and the Wire Server answers, or a port of it that did not answer before.
function Confirm-Network($network, $before) {
    $code = $run.code
    $now = Get-Reach 3
    $better = $false
    foreach ($port in @('80', '32526')) {
        Say "wire $port $($now[$port])"
        if ($now[$port] -eq 'none') { if ($code -eq 0) { $code = 1 } }
        elseif ($before[$port] -eq 'none') { $better = $true }
    }
    $free = Test-Settled $run.generation
    Stop-Watchdog $run.generation
    if (-not $free) { $run.result = 'reverted-by-watchdog' }
    elseif ($code -ne 0 -and -not $better) {
        Undo-Actions $network
        Add-Mark 'reverted'
        Compare-Others @()
        $run.result = 'reverted'
    }
    else {
        Compare-Others @(Get-Changed)
        if ($code -ne 0) {
            Add-Mark 'kept'
            $run.result = 'kept'
        }
    }
    $run.code = $code
}

function Undo-Last {
    $run.name = Get-Last
    $run.dir = "$base\repairs\$($run.name)"
    Read-Plan (Get-Lines "$($run.dir)\plan")
    $begun = @(Get-Mark | Where-Object { $_ -like 'applying *' }).Count -gt 0
    if (-not $run.name -or -not $begun -or (Test-Mark 'undone')) {
        $run.result = 'nothing-to-do'
        return
    }
    Say "repair $($run.name)"
    $generation = 1
    while (Test-Path -LiteralPath "$($run.dir)\armed.$generation") {
        $null = Test-Settled $generation
        Stop-Watchdog $generation
        $generation += 1
    }
    Undo-Actions @(Get-Numbers)
    if ($run.code -ne 0) {
        $run.result = 'failed'
        return
    }
    Add-Mark 'undone'
    Compare-Others @()
    $run.result = 'undone'
}

# SYSTEM's and the administrators' alone. Anybody may make a folder in %ProgramData%: one of others is not used.
function Test-Place {
    if (Test-Path -LiteralPath $base) {
        $item = Get-Item -LiteralPath $base -Force
        $rights = "$((Get-Acl -LiteralPath $base).Sddl)"
        if ("$($item.Attributes)" -match 'ReparsePoint' -or $rights -cnotmatch '^O:(BA|SY)G:') { return $false }
        if ($rights -cmatch 'D:PA?I?\(A;OICI;FA;;;SY\)\(A;OICI;FA;;;BA\)$') { return $true }
    }
    else { $null = New-Item -ItemType Directory -Path $base }
    $rights = New-Object -TypeName System.Security.AccessControl.DirectorySecurity
    $rights.SetSecurityDescriptorSddlForm('O:BAG:SYD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)')
    Set-Acl -LiteralPath $base -AclObject $rights
    if (@(Get-ChildItem -LiteralPath $base -Force).Count -gt 0) { return $false }
    $null = New-Item -ItemType Directory -Path "$base\repairs"
    return $true
}

function Test-Administrator {
    $me = [System.Security.Principal.WindowsIdentity]::GetCurrent()
    $role = New-Object -TypeName System.Security.Principal.WindowsPrincipal -ArgumentList $me
    return $me.IsSystem -or $role.IsInRole([System.Security.Principal.WindowsBuiltInRole]::Administrator)
}

# Held open as long as this runs; Windows closes it when the process dies.
function Open-Lock {
    try { return [System.IO.File]::Open("$base\lock", 'OpenOrCreate', 'ReadWrite', 'None') }
    catch { return $null }
}

function Invoke-Main {
    $word, $id, $seconds = "$($data[0])".Split(' ')
    $run.seconds = [int]$seconds
    if (-not (Test-Administrator)) {
        $run.result = 'not-root'
        return
    }
    $place = $false
    try { $place = Test-Place }
    catch { $run.detail = "$($_.Exception.Message)" }
    if (-not $place) {
        $run.result = 'no-place'
        return
    }
    $lock = Open-Lock
    if ($null -eq $lock) {
        $run.result = 'locked'
        return
    }
    try {
        if ($word -ceq 'undo') { Undo-Last } else { Invoke-Plan $id }
    }
    catch {
        Say "step 0 backup failed $($_.Exception.Message)"
        $run.result = 'failed'
    }
    finally { $lock.Close() }
}

if ($watchdog -ne '') {
    $run.name = $attempt
    $run.dir = "$base\repairs\$attempt"
    Read-Plan $data
    $null = Invoke-Watchdog
}
else {
    Write-Output 'vmagent-repair 1'
    Invoke-Main
    Say "result $($run.result)"
    Write-Output "end $([int]$run.clock.Elapsed.TotalSeconds) 0 $(Get-Sum $run.said)"
}
